"""`paceline probe`: whether the service of this data directory takes requests; for health checks inside containers.

Place: asks /ready of the operators' port that run/ports.json names, on this machine.
Shapes: one line; exit code 0 = ready, 1 = not.
Limits: PATIENCE_S. Where operators must show a certificate, that the port accepts is all that can be told.
"""

import argparse
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bidder.commands.serve import configured
from bidder.config import Config, ConfigError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

PATIENCE_S: Final = 3.0
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what listens everywhere listens here, too


def register(subparsers: "Subparsers") -> None:
    """Add `probe` to the command line."""
    probe = subparsers.add_parser("probe", help="say whether the service on this machine takes requests")
    probe.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    probe.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask; 1 where the answer is no, or none."""
    from bidder.supervisor.folder import Folder, Ports

    try:
        config = configured(args)
        ports = msgspec.json.decode(Folder(Path(config.data_dir)).ports.read_bytes(), type=Ports)
        told = _ask(config, ports.ops)
    except (ConfigError, OSError, msgspec.MsgspecError) as error:
        print(f"not ready: {error}")
        return 1
    print(told)
    return 0 if told == "ready" else 1


def _ask(config: Config, port: int) -> str:
    """`ready`, or what else was answered; raises OSError where nobody does."""
    host = _ANY.get(config.ops.host, config.ops.host)
    tls = config.ops.tls
    if tls.client_ca_file:
        socket.create_connection((host, port), PATIENCE_S).close()
        return "ready"
    scheme = "https" if tls.cert_file else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/ready"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is this machine's own
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S, context=context) as answer:  # noqa: S310  http or https
            text: str = answer.read(64).decode("ascii", "replace").strip()
    except urllib.error.HTTPError as error:
        with error:
            return f"not ready: {error.code}"
    return "ready" if text == "1" else f"not ready: {text}"
