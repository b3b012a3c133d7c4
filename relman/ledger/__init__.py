"""Where records lie, and who may write them."""

from relman.ledger.branch import BranchLedger, in_branch
from relman.ledger.folder import FolderLedger
from relman.ledger.protocol import Ledger, Session

__all__ = ["BranchLedger", "FolderLedger", "Ledger", "Session", "in_branch"]
