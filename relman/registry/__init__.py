"""The registries that images lie in: servers, folders, and skopeo for what it is best at."""
