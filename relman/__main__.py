"""`python -m relman` is `relman`."""

from relman.cli import main

if __name__ == "__main__":
    main()
