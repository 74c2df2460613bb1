"""Media work in a child process: every way in which the child can end has one clear outcome."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from msgspec import Struct

from actors.runtime.isolate import ChildFailed, run_isolated
from contracts.errors import Reject, Retry

ROOT = Path(__file__).parents[2]
MEMORY_BYTES = 256 << 20

PARENT = """
import asyncio, sys, isolated_child as c
from actors.runtime.isolate import run_isolated
ask = c.Ask(pid_file=sys.argv[1])
asyncio.run(run_isolated('isolated_child', ask, result=c.Told, deadline_s=60, memory_bytes=1 << 28))
"""


class Ask(Struct, frozen=True):
    file: str = ""
    pid_file: str = ""


class Told(Struct, frozen=True):
    text: str = ""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a child module whose handler has the given body; return its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(body: str) -> str:
        name = "isolated_child"
        (tmp_path / f"{name}.py").write_text(
            "import ctypes, os, signal, subprocess, sys, time\n"
            "from pathlib import Path\n"
            "from msgspec import Struct\n"
            "from actors.runtime import isolate\n"
            "from contracts.errors import Reject, Retry\n"
            "class Ask(Struct, frozen=True):\n    file: str = ''\n    pid_file: str = ''\n"
            "class Told(Struct, frozen=True):\n    text: str = ''\n"
            "def handle(ask, progress):\n" + textwrap.indent(textwrap.dedent(body), "    ") + "\n"
            "if __name__ == '__main__':\n    isolate.serve(Ask, handle)\n"
        )
        return name

    return write


async def ask(module: str, request: Ask | None = None, *, deadline_s: float = 20.0) -> Told:
    return await run_isolated(
        module, request or Ask(), result=Told, deadline_s=deadline_s, memory_bytes=MEMORY_BYTES, what="the test"
    )


async def until(condition: Callable[[], bool]) -> None:
    """Poll a real condition, at most 10 s."""
    async with asyncio.timeout(10):
        while not condition():  # other processes send no event
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def test_result_comes_back_whole(child: Callable[[str], str]) -> None:
    """Names with any character reach the child as data; a long result is not cut."""
    name = "-dash quote'\" \n ü.mp4"
    module = child("return Told(ask.file * 20_000 + str(len(sys.argv)))")
    assert (await ask(module, Ask(file=name))).text == name * 20_000 + "1"


async def test_progress_arrives_in_order(child: Callable[[str], str]) -> None:
    """A person sees how far a render is."""
    seen: list[str] = []

    async def note(body: bytes) -> None:
        seen.append(json.loads(body)["text"])

    module = child("for i in range(5): progress(Told(str(i)))\nreturn Told('end')")
    await run_isolated(module, Ask(), result=Told, deadline_s=20, memory_bytes=MEMORY_BYTES, on_progress=note)
    assert seen == ["0", "1", "2", "3", "4"]


async def test_library_chatter_is_no_answer_and_not_shown(
    child: Callable[[str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    """What libav prints neither breaks the protocol nor lands on the user's terminal."""
    module = child(
        "os.write(1, b'chatter on stdout\\n'); print('more', flush=True); os.write(2, b'x' * 300_000)\n"
        "return Told('ok')"
    )
    assert (await ask(module)).text == "ok"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("raise Reject('no video', mend='send a video')", Reject, "no video. send a video"),
        ("raise Retry('the network is away', delay_s=7.0)", Retry, "the network is away"),
        ("os.abort()", Reject, "the test crashed (SIGABRT)"),
        ("ctypes.string_at(0)", Reject, "the test crashed (SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", Retry, "killed from outside (SIGKILL)"),
        ("raise ZeroDivisionError('a bug')", ChildFailed, "ZeroDivisionError: a bug"),
        ("os._exit(3)", ChildFailed, "exit status 3"),
        ("x = bytearray(512 << 20)", Reject, "more than 256 MiB of memory"),
    ],
)
async def test_each_end_has_its_outcome(
    child: Callable[[str], str], body: str, kind: type[Exception], text: str
) -> None:
    """A crash never passes for a result, and a bug never passes for bad media."""
    with pytest.raises(kind) as caught:
        await ask(child(body))
    assert text in str(caught.value)
    if isinstance(caught.value, Retry) and "network" in text:
        assert caught.value.delay_s == 7.0


async def test_resident_memory_is_watched_where_rlimit_data_is_not(child: Callable[[str], str]) -> None:
    """Shared mappings escape RLIMIT_DATA; the parent still stops the child before the machine swaps."""
    module = child(
        "import mmap\nm = mmap.mmap(-1, 512 << 20)\nfor i in range(0, len(m), 4096): m[i] = 1\ntime.sleep(60)"
    )
    with pytest.raises(Reject, match="more than 256 MiB"):
        await ask(module)


async def test_deadline_ends_the_whole_process_group(child: Callable[[str], str], tmp_path: Path) -> None:
    """A hung file frees its slot, and no grandchild of it lives on."""
    pids = tmp_path / "pids"
    module = child(
        "p = subprocess.Popen(['sleep', '300'])\n"
        "Path(ask.pid_file).write_text(f'{os.getpid()} {p.pid}')\nsignal.pause()"
    )
    with pytest.raises(Reject, match="took longer than 3 s"):
        await ask(module, Ask(pid_file=str(pids)), deadline_s=3)
    own, grandchild = map(int, pids.read_text().split())
    await until(lambda: gone(own) and gone(grandchild))


async def test_escaped_grandchild_does_not_hold_the_answer_up(child: Callable[[str], str], tmp_path: Path) -> None:
    """A helper that left the process group costs a second, not for ever."""
    pid_file = tmp_path / "pid"
    module = child(
        "p = subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "Path(ask.pid_file).write_text(str(p.pid))\nreturn Told('done')"
    )
    try:
        async with asyncio.timeout(15):
            assert (await ask(module, Ask(pid_file=str(pid_file)))).text == "done"
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


async def test_cancelling_kills_the_child(child: Callable[[str], str], tmp_path: Path) -> None:
    """Stopping the actor stops its work at once."""
    pid_file = tmp_path / "pid"
    module = child("Path(ask.pid_file).write_text(str(os.getpid()))\nsignal.pause()")
    task = asyncio.create_task(ask(module, Ask(pid_file=str(pid_file))))
    await until(lambda: pid_file.exists() and pid_file.read_text() != "")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(int(pid_file.read_text()))


@pytest.mark.parametrize("hold", ["signal.pause()", "ctypes.PyDLL(None).sleep(300)"])
async def test_child_dies_with_a_killed_parent(child: Callable[[str], str], tmp_path: Path, hold: str) -> None:
    """After kill -9 of an actor no child works on, even one whose library holds the interpreter's lock."""
    pid_file = tmp_path / "pid"
    child(f"Path(ask.pid_file).write_text(str(os.getpid()))\n{hold}")
    parent = subprocess.Popen(  # noqa: ASYNC220  # starts at once
        [
            sys.executable,
            "-c",
            PARENT,
            str(pid_file),
        ],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    try:
        await until(lambda: pid_file.exists() and pid_file.read_text() != "")
        pid = int(pid_file.read_text())
        assert not gone(pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()  # noqa: ASYNC251, RUF100  # reaped at once
    await until(lambda: gone(pid))


async def test_secrets_stay_in_the_parent(child: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile file that takes over the decoder finds no token in the environment."""
    monkeypatch.setenv("GOOGLE_CLIENT_SECRET", "hush")
    assert (await ask(child("return Told(' '.join(os.environ.values()))"))).text.count("hush") == 0


async def test_the_loop_stays_free(child: Callable[[str], str]) -> None:
    """Heartbeats go on while a child works."""
    longest_s = 0.0
    task = asyncio.create_task(ask(child("x = 0\nfor i in range(3_000_000): x += i\nreturn Told('ok')")))
    while not task.done():
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest_s = max(longest_s, time.monotonic() - before)
    assert task.result().text == "ok"
    assert longest_s < 0.5


CREW = """
from actors.runtime.crew import Crew
def work(link, body):
    exec(body)
def crew(body, count=2):
    tasks = iter([b'a', b'b', b'c'])
    made = Crew(Told, lambda worker: next(tasks, b''), what='the test')
    try:
        for _ in range(count):
            made.start(work, body)
        return Told(' '.join(sorted(told.text for told in made.told())))
    finally:
        made.end()
"""


@pytest.fixture
def foreman(child: Callable[[str], str], tmp_path: Path) -> Callable[[str], str]:
    """Write a child whose two workers run the given statements on `link`; return its name."""

    def write(body: str) -> str:
        name = child(f"return crew({textwrap.dedent(body)!r})")
        path = tmp_path / f"{name}.py"
        path.write_text(path.read_text().replace("def handle(", CREW + "def handle("))
        return name

    return write


async def test_workers_share_the_tasks(foreman: Callable[[str], str]) -> None:
    """A task is done twice or never."""
    module = foreman("while task := link.ask(): link.tell(Told(task.decode()))")
    assert (await ask(module)).text == "a b c"


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("raise Reject('no video', mend='send a video')", Reject, "no video. send a video"),
        ("raise Retry('the network is away', delay_s=7.0)", Retry, "the network is away"),
        ("ctypes.string_at(0)", Reject, "the test crashed (SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", Retry, "killed from outside (SIGKILL)"),
        ("raise ZeroDivisionError('a bug')", ChildFailed, "ZeroDivisionError: a bug"),
        ("os._exit(3)", ChildFailed, "exit status 3"),
        ("x = bytearray(512 << 20)", Reject, "more than 256 MiB of memory"),
    ],
)
async def test_a_worker_ends_all_with_its_own_meaning(
    foreman: Callable[[str], str], body: str, kind: type[Exception], text: str
) -> None:
    """A crash in a worker passes for a result, or hangs the work; a hostile file is tried for ever."""
    pause = f"import os\nif link.ask() == b'a':\n    {body}\nelse:\n    signal.pause()"
    with pytest.raises(kind) as caught:
        await ask(foreman(pause))
    assert text in str(caught.value)


async def test_memory_of_all_workers_is_watched(foreman: Callable[[str], str]) -> None:
    """Workers that each keep to their limit fill the machine together."""
    module = foreman(
        "import mmap\nm = mmap.mmap(-1, 200 << 20)\nfor i in range(0, len(m), 4096): m[i] = 1\ntime.sleep(60)"
    )
    with pytest.raises(Reject, match="more than 256 MiB"):
        await ask(module)


@pytest.mark.parametrize("hold", ["signal.pause()", "ctypes.PyDLL(None).sleep(300)"])
async def test_workers_die_with_a_killed_parent(foreman: Callable[[str], str], tmp_path: Path, hold: str) -> None:
    """After kill -9 of an actor its workers work on."""
    foreman(f"Path(r'{tmp_path}', 'pid' + link.ask().decode()).write_text(str(os.getpid()))\n{hold}")
    parent = subprocess.Popen(  # noqa: ASYNC220  # starts at once
        [sys.executable, "-c", PARENT, ""],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    files = [tmp_path / "pida", tmp_path / "pidb"]
    try:
        await until(lambda: all(path.exists() and path.read_text() != "" for path in files))
        pids = [int(path.read_text()) for path in files]
        assert not any(map(gone, pids))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()  # noqa: ASYNC251, RUF100  # reaped at once
    await until(lambda: all(map(gone, pids)))


async def test_a_request_is_made_while_the_child_starts(child: Callable[[str], str]) -> None:
    """A large source is hashed before anything else begins; or what is wrong with it is not told."""

    async def request() -> Ask:
        await asyncio.sleep(0)
        return Ask(file="late")

    module = child("return Told(ask.file)")
    told = await run_isolated(module, request, result=Told, deadline_s=20, memory_bytes=MEMORY_BYTES)
    assert told.text == "late"

    async def refused() -> Ask:
        raise Reject("no such file")

    with pytest.raises(Reject, match="no such file"):
        await run_isolated(module, refused, result=Told, deadline_s=20, memory_bytes=MEMORY_BYTES)


LINUX = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}, reason="seccomp of another machine"
)
CONNECT = """
import errno, socket
def tried(family, kind=socket.SOCK_STREAM):
    try:
        socket.socket(family, kind).close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return 'open'
def all_tried():
    families = socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_UNIX
    return ' '.join(map(tried, families)) + ' ' + tried(socket.AF_INET, socket.SOCK_DGRAM)
"""


@pytest.fixture
def connecting(child: Callable[[str], str], tmp_path: Path) -> Callable[[str], str]:
    """Write a child with `all_tried` at hand."""

    def write(body: str) -> str:
        name = child(body)
        path = tmp_path / f"{name}.py"
        path.write_text(path.read_text().replace("def handle(", CONNECT + "def handle("))
        return name

    return write


IN_PROGRAM = """
program = 'import isolated_child as c; print(c.all_tried())'
said = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True).stdout
return Told(said.strip())
"""
IN_WORKER = """
from actors.runtime.crew import Crew
crew = Crew(Told, lambda worker: b'', what='the test')
crew.start(lambda link: link.tell(Told(all_tried())))
return list(crew.told())[0]
"""


@LINUX
@pytest.mark.parametrize(
    "body",
    ["return Told(all_tried())", "return Told(early.submit(all_tried).result())", IN_PROGRAM, IN_WORKER],
    ids=["child", "thread that began before", "program", "worker"],
)
async def test_no_connection_leaves_the_machine(connecting: Callable[[str], str], tmp_path: Path, body: str) -> None:
    """A file that takes over a decoder, in whatever process or thread, sends away what it finds."""
    module = connecting(body)
    path = tmp_path / f"{module}.py"
    early = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "if __name__ == '__main__':\n    early = ThreadPoolExecutor(1)\n    early.submit(int).result()\n"
    )
    path.write_text(path.read_text().replace("def handle(", early + "def handle("))
    assert (await ask(module)).text == "EACCES EACCES EACCES open EACCES"


@LINUX
async def test_the_filter_has_no_back_door(child: Callable[[str], str]) -> None:
    """Sockets are opened by io_uring, or by the numbers of x32; or privileges are gained by a set-uid program."""
    module = child(
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "found = []\n"
        "for number in (425, *([0x40000000 | 41] if os.uname().machine == 'x86_64' else [])):\n"
        "    found.append(f'{libc.syscall(number, 2, 1, 0)} {ctypes.get_errno()}')\n"
        "found.append(str(libc.prctl(39, 0, 0, 0, 0)))\n"
        "return Told(', '.join(found))"
    )
    denied = ["-1 13"] * (2 if platform.machine() == "x86_64" else 1)
    assert (await ask(module)).text == ", ".join([*denied, "1"])


@LINUX
async def test_the_network_is_there_for_who_asks(connecting: Callable[[str], str]) -> None:
    """Nothing can be fetched from web pages any more."""
    told = await run_isolated(
        connecting("return Told(all_tried().split()[0])"),
        Ask(),
        result=Told,
        deadline_s=20,
        memory_bytes=MEMORY_BYTES,
        network=True,
    )
    assert told.text == "open"


async def test_open_files_and_processor_time_are_bounded(child: Callable[[str], str]) -> None:
    """A file has thousands of others opened; or one spins on after its parent was stopped."""
    module = child(
        "import resource\n"
        "cpu, files = resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "return Told(f'{cpu} {files}')"
    )
    cpu_s = 20 * (os.cpu_count() or 1)
    assert (await ask(module, deadline_s=19.5)).text == f"{(cpu_s, cpu_s + 10)} (260, 260)"


@pytest.mark.parametrize("who", ["child", "worker"])
async def test_processor_time_that_is_used_up_is_the_files_doing(
    child: Callable[[str], str], foreman: Callable[[str], str], who: str
) -> None:
    """A file that makes a decoder spin is tried again for ever."""
    body = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (1, resource.getrlimit(resource.RLIMIT_CPU)[1]))\nwhile True: pass"
    )
    with pytest.raises(Reject, match="the test took longer than"):
        await ask(foreman(body) if who == "worker" else child(body))


@pytest.mark.parametrize("writer", ["Path(ask.file).write_bytes(bytes(2000))", "mux(ask.file)"])
async def test_files_that_are_written_are_bounded(child: Callable[[str], str], tmp_path: Path, writer: str) -> None:
    """A small file that makes a render endless fills the disk."""
    module = child(
        "import av\n"
        "def mux(path):\n"
        "    with av.open(path, 'w', format='wav') as out:\n"
        "        stream = out.add_stream('pcm_s16le', rate=8000)\n"
        "        frame = av.AudioFrame('s16', 'mono', 100_000)\n"
        "        frame.sample_rate = 8000\n"
        "        out.mux(stream.encode(frame))\n"
        f"{writer}\nreturn Told('written')"
    )
    file = tmp_path / "large"
    with pytest.raises(Reject, match="a larger file than it may"):
        await run_isolated(
            module,
            Ask(file=str(file)),
            result=Told,
            deadline_s=20,
            memory_bytes=MEMORY_BYTES,
            writes_bytes=1000,
        )
    assert file.stat().st_size <= 1000
    assert (await ask(module, Ask(file=str(file)))).text == "written"
