"""Memory for large lists: used again, and never as long as somebody still looks at what is in it."""

import threading

import msgspec
import pytest

from relman_plugins.inspect import buffers
from relman_plugins.inspect.buffers import Buffer, Store
from relman_plugins.inspect.unpack import unpack

MB = 1024 * 1024

pytestmark = pytest.mark.skipif(not buffers.AVAILABLE, reason="needs large pages")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Buffer]:
    """Every buffer that is made."""
    found: list[Buffer] = []

    class Noted(Buffer):
        def __init__(self, store: Store | None = None) -> None:
            super().__init__(store)
            found.append(self)

    monkeypatch.setattr(buffers, "Buffer", Noted)
    return found


def read(store: Store, content: bytes) -> bytes:
    with store.lent() as lent:
        buffer = lent.take()
        buffer.add(content)
        return bytes(buffer.view())


def test_a_buffer_is_used_again_as_long_as_anybody_reads(made: list[Buffer]) -> None:
    store = Store()
    with store.lent():
        assert read(store, b"the first, which is longer") == b"the first, which is longer"
        assert read(store, b"the second") == b"the second"
        assert len(made) == 1


def test_nothing_is_kept_when_nobody_reads(made: list[Buffer]) -> None:
    store = Store()
    read(store, b"the first")
    read(store, b"the second")

    assert len(made) == 2
    with pytest.raises(ValueError, match="closed"):
        made[0].view()


@pytest.mark.parametrize("look", [lambda view: view[:5], lambda view: msgspec.json.decode(view, type=msgspec.Raw)])
def test_what_is_still_looked_at_is_not_written_over(look: object, made: list[Buffer]) -> None:
    store = Store()
    with store.lent():
        with store.lent() as lent:
            buffer = lent.take()
            buffer.add(b'"first"')
            seen = look(buffer.view())  # type: ignore[operator]
            del buffer
        assert read(store, b'"other"') == b'"other"'
        assert len(made) == 2
        assert bytes(memoryview(seen)).startswith(b'"firs')


def test_idle_buffers_make_room_for_what_is_read(made: list[Buffer]) -> None:
    store = Store(kept=3 * MB)
    with store.lent():
        with store.lent() as one, store.lent() as two:
            for lent in (one, two):
                lent.take().add(bytes(MB))
        assert read(store, bytes(3 * MB)) == bytes(3 * MB)  # in one of them, and the other has to go

        assert len(made) == 2
        with pytest.raises(ValueError, match="closed"):
            _ = [buffer.view() for buffer in made]


def test_a_list_of_any_size_fits(made: list[Buffer]) -> None:
    store = Store(kept=MB)
    content = bytes(70 * MB)

    assert read(store, content) == content
    assert len(made) == 1


@pytest.mark.parametrize("sizes", [(3 * MB, 2 * MB), (2 * MB, 3 * MB), (2 * MB, 1000)])
def test_a_list_is_unpacked_into_what_another_left(sizes: tuple[int, int], made: list[Buffer]) -> None:
    store = Store()
    with store.lent():
        for number, size in enumerate(sizes):
            content = bytes([number]) * size
            with store.lent() as lent:
                assert bytes(unpack([content[:MB], content[MB:]], lent=lent)) == content

    assert len(made) == 1


def test_any_number_of_threads_share_them() -> None:
    store, wrong = Store(), []

    def act(number: int) -> None:
        for turn in range(20):
            content = bytes([number * 20 + turn]) * (MB + number)
            if read(store, content) != content:
                wrong.append(turn)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
