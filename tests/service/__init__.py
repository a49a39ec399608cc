"""Tests of the running service: real processes, real sockets."""
