"""Where records lie, and who may write them."""

from relman.ledger.folder import FolderLedger
from relman.ledger.protocol import Ledger, Session

__all__ = ["FolderLedger", "Ledger", "Session"]
