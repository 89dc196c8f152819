"""What a folder holds, to compare it with what it held or should hold."""

from pathlib import Path


def files(folder: Path) -> dict[str, bytes]:
    """Relative name → content of every file below a folder, but for hidden ones such as a lock."""
    paths = [path for path in folder.rglob("[!.]*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
