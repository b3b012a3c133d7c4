"""For authors of plugins: registries in memory, images made to order."""

from relman.testing.registry import MemoryRegistry, Write, attach, put_image, put_index, tar

__all__ = ["MemoryRegistry", "Write", "attach", "put_image", "put_index", "tar"]
