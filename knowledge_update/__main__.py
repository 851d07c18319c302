"""`python -m knowledge_update` is `kupdate`."""

from knowledge_update.cli import main

main()
