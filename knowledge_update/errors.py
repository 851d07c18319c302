"""The errors a user can meet, drawn as a tree.

KnowledgeUpdateError
├── UserError            exit code 2: the user can put it right, and nothing was lost
│   ├── ConfigError      an option or a key of the configuration
│   ├── DocumentError    documents or question files
│   ├── ModelError       a model or an adapter that cannot be found or loaded
│   └── RunFolderError   a run folder that does not fit what is asked of it
├── WorkError            exit code 1: the work failed; what was finished is kept
└── ToldError            another process failed, said why, and gave its exit code

They are raised deep and printed once, at the edge (`cli.main`), as one line that says what, where and what to do.
"""


class KnowledgeUpdateError(Exception):
    """Base of every error that is shown to a user as one line."""

    exit_code = 1


class UserError(KnowledgeUpdateError):
    """A mistake the user can put right."""

    exit_code = 2


class ConfigError(UserError):
    """An option or a configuration key that is unknown or out of range."""


class DocumentError(UserError):
    """Documents or questions that cannot be used."""


class ModelError(UserError):
    """A model or an adapter that cannot be found or loaded."""


class RunFolderError(UserError):
    """A run folder that does not fit what is asked of it."""


class WorkError(KnowledgeUpdateError):
    """Work that failed although the input was right."""


class ToldError(KnowledgeUpdateError):
    """Work of other processes that failed, of which one has said why.

    Args:
        exit_code: That one's.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code
