"""What docs/clients.md tells to write is what is tested here, word for word."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parent.parent / "docs/clients.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def all_code():
    files = [
        path for path in HERE.rglob("*") if path.suffix in (".py", ".sql") and path.name != "test_docs.py"
    ]
    return "\n".join(path.read_text() for path in files)


@pytest.mark.parametrize("language, block", BLOCKS, ids=[block.splitlines()[0][:40] for _, block in BLOCKS])
def test_block_is_tested(language, block):
    assert block.rstrip() in all_code(), language
