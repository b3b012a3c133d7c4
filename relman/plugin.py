"""What plugins import, beside `relman.model` and `relman.testing`. The manual is `relman.hookspecs`."""

from relman.compact.attached import attached_contents, lists_among
from relman.compact.inband import embedded_contents
from relman.errors import (
    AnswerLost,
    ConfigError,
    GateClosed,
    Malformed,
    NotFound,
    NotShown,
    Passing,
    RelmanError,
    StalePlan,
    Unequipped,
    UsageError,
)
from relman.git import Checkout, GitFailed, checkout_at
from relman.handwritten import (
    Fragment,
    KnownIssue,
    KnownIssues,
    dropped_issues,
    fragments_between,
    known_issues_at,
)
from relman.hookspecs import (
    ActionsContext,
    ChannelExecutor,
    ChannelReader,
    ChannelWriter,
    CommandRenderer,
    CommitsContext,
    ContentsContext,
    ContentsSource,
    Executor,
    GatesContext,
    HttpResponse,
    ImageUnderRead,
    Renderer,
    SectionsContext,
    Slot,
    Web,
    hookimpl,
)
from relman.mail import MailServer
from relman.mentions import quiet
from relman.process import Ended as ProgramEnded
from relman.process import ProcessFailed as ProgramFailed
from relman.process import run as run_program
from relman.process import run_to_end as run_program_to_end
from relman.redaction import redact
from relman.redaction import register as conceal
from relman.registry.attaching import CAREFUL, attach
from relman.registry.carrying import first_missing
from relman.registry.evidence import EvidenceLost, copy_evidence
from relman.registry.evidence import lost as lost_evidence
from relman.registry.look import look_at
from relman.registry.protocol import Manifest, RegistryReader, RegistryWriter
from relman.registry.skopeo import version as skopeo_version
from relman.settings import ChannelSettings, Duration, PublishSettings, Secret, Table

__all__ = [
    "CAREFUL",
    "ActionsContext",
    "AnswerLost",
    "ChannelExecutor",
    "ChannelReader",
    "ChannelSettings",
    "ChannelWriter",
    "Checkout",
    "CommandRenderer",
    "CommitsContext",
    "ConfigError",
    "ContentsContext",
    "ContentsSource",
    "Duration",
    "EvidenceLost",
    "Executor",
    "Fragment",
    "GateClosed",
    "GatesContext",
    "GitFailed",
    "HttpResponse",
    "ImageUnderRead",
    "KnownIssue",
    "KnownIssues",
    "MailServer",
    "Malformed",
    "Manifest",
    "NotFound",
    "NotShown",
    "Passing",
    "ProgramEnded",
    "ProgramFailed",
    "PublishSettings",
    "RegistryReader",
    "RegistryWriter",
    "RelmanError",
    "Renderer",
    "Secret",
    "SectionsContext",
    "Slot",
    "StalePlan",
    "Table",
    "Unequipped",
    "UsageError",
    "Web",
    "attach",
    "attached_contents",
    "checkout_at",
    "conceal",
    "copy_evidence",
    "dropped_issues",
    "embedded_contents",
    "first_missing",
    "fragments_between",
    "hookimpl",
    "known_issues_at",
    "lists_among",
    "look_at",
    "lost_evidence",
    "quiet",
    "redact",
    "run_program",
    "run_program_to_end",
    "skopeo_version",
]
