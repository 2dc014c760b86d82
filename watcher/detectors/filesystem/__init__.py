"""Files in a folder: the inventory is the truth, the kernel's events only wake."""

from watcher.detectors.filesystem.detector import FilesystemDetector

__all__ = ["FilesystemDetector"]
