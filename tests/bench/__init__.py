"""The benchmark (`./dev bench`): relman by each of its sources beside the flow in use today."""
