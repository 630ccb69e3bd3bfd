import io

from native_stack.display import LiveTable, PlainLines, Row, display_for
from rich.console import Console


def test_plain_lines_are_printed_when_the_news_change_and_only_then() -> None:
    output = io.StringIO()
    display = PlainLines(Console(file=output))
    with display.open():
        display.show({"kafka": Row("building", live="Downloading a"), "s3": Row("waiting")})
        display.show({"kafka": Row("building", live="Downloading b"), "s3": Row("ready", done=True)})
    assert output.getvalue().splitlines() == ["kafka: building", "s3: waiting", "s3: ready"]


def test_a_terminal_gets_the_live_table_and_a_pipe_plain_lines() -> None:
    assert isinstance(display_for(Console(file=io.StringIO(), force_terminal=True)), LiveTable)
    assert isinstance(display_for(Console(file=io.StringIO())), PlainLines)


def test_the_live_table_shows_what_passes() -> None:
    output = io.StringIO()
    display = LiveTable(Console(file=output, force_terminal=True, width=120))
    with display.open():
        display.show({"kafka": Row("building", live="Downloading a")})
    assert "Downloading a" in output.getvalue()
