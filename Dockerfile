# Paceline as an image: a venv of locked wheels on a slim base, nothing of a compiler, a package manager or a developer.
# Same sources, same base by digest and same SOURCE_DATE_EPOCH make the same files: pin the base for a release with
#   docker build --build-arg PYTHON=python:3.13-slim-bookworm@sha256:... --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) \
#     --build-arg REVISION=$(git rev-parse HEAD) --build-arg VERSION=0.1.0 -t paceline .
ARG PYTHON=python:3.13-slim-bookworm

FROM ${PYTHON} AS builder
ARG SOURCE_DATE_EPOCH=1767225600
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=0
WORKDIR /src
COPY requirements-build.lock requirements-runtime.lock ./
RUN ["python", "-m", "venv", "/opt/build"]
RUN ["/opt/build/bin/python", "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r", "requirements-build.lock"]
RUN ["python", "-m", "venv", "--without-pip", "/opt/paceline"]
RUN ["/opt/build/bin/python", "-m", "pip", "--python", "/opt/paceline/bin/python", "install", "--require-hashes", "--only-binary", ":all:", "--no-compile", "-r", "requirements-runtime.lock"]
COPY pyproject.toml README.md LICENSE ./
COPY openrtb ./openrtb
COPY budget ./budget
COPY bidder ./bidder
COPY benchmarks ./benchmarks
RUN ["/opt/build/bin/python", "-m", "hatchling", "build", "-t", "wheel", "-d", "/opt/wheel"]
RUN ["/opt/build/bin/python", "-m", "pip", "--python", "/opt/paceline/bin/python", "install", "--no-deps", "--no-index", "--no-compile", "--find-links", "/opt/wheel", "paceline"]
RUN ["/opt/paceline/bin/python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/opt/paceline/lib"]
RUN ["install", "-d", "-m", "0700", "/opt/data"]

FROM ${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Paceline" \
      org.opencontainers.image.description="A real-time bidder for retargeting" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=builder /opt/paceline /opt/paceline
COPY --from=builder --chown=10001:10001 /opt/data /data
ENV PATH=/opt/paceline/bin:/usr/local/bin:/usr/bin:/bin \
    PACELINE_DATA_DIR=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080 8081 8082
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "bidder", "probe"]
ENTRYPOINT ["paceline"]
CMD ["serve"]
