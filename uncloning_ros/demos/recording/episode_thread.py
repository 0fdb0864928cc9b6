# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write an open episode in a thread of its own, so that a slow disk delays no message."""

import threading
import time
from collections import Counter
from collections.abc import Sequence

from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.recording.health import EpisodeJudge
from uncloning_ros.errors import BagError, UncloningError

# Period (s) of writing the queue: waking a thread for every message costs more than writing it.
_BATCH_S = 0.02
# Period (s) of syncing to the disk. A crash may cost this and the time of one batch and one sync,
# which has to stay below a second.
FLUSH_S = 0.5
# Time (s) to close: launch kills a process 5 s after SIGINT.
_CLOSE_TIMEOUT_S = 3.0

_Item = tuple[str, bytes, int, int]  # topic, message, its times of arrival and of sending


def by_arrival(batch: Sequence[_Item]) -> list[_Item]:
    """Return messages that come topic after topic in the order of their arrival.

    Those of one topic stay in their order, so that a clock that was set back is seen.
    """
    newest_ns: dict[str, int] = {}
    keys_ns = []
    for topic, _, receive_ns, _ in batch:
        newest_ns[topic] = max(newest_ns.get(topic, receive_ns), receive_ns)
        keys_ns.append(newest_ns[topic])
    return [batch[i] for i in sorted(range(len(batch)), key=keys_ns.__getitem__)]


class EpisodeThread:
    """Queue the messages of one episode, at most `limit_bytes` of them, and write them.

    `put()` never blocks: a message that does not fit is dropped and counted in `dropped`. Until
    `end()` the thread alone touches writer and judge, except that any thread may add a topic. The
    first error ends the writing, is kept in `error`, and leaves the `.partial` directory.
    """

    def __init__(self, writer: EpisodeWriter, judge: EpisodeJudge, limit_bytes: int) -> None:
        self.writer = writer
        self.judge = judge
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._queue: list[_Item] = []
        self._queued_bytes = 0
        self.dropped: Counter[str] = Counter()
        self.error: UncloningError | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name='episode_writer', daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Return how many messages wait to be written."""
        return len(self._queue)

    def is_alive(self) -> bool:
        """Tell whether the thread still writes."""
        return self._thread.is_alive()

    def put(self, topic: str, cdr: bytes, receive_ns: int, source_ns: int) -> None:
        """Hand over one serialised message."""
        with self._lock:
            if self._queued_bytes + len(cdr) > self._limit_bytes:
                self.dropped[topic] += 1
                return
            self._queue.append((topic, cdr, receive_ns, source_ns))
            self._queued_bytes += len(cdr)

    def end(self) -> None:
        """Write the queued messages and end; writer and judge are the caller's from then on.

        Raise `BagError` for the error that ended the writing, or if the disk is too slow.
        """
        self._ending.set()
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            raise BagError(f'{self.writer.partial_dir}: the disk did not take everything within '
                           f'{_CLOSE_TIMEOUT_S:g} s; uncloning recover finishes it')
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._write()
        except UncloningError as err:
            self.error = err
        except Exception as err:  # noqa: BLE001 - a bag with a hole must not pass for whole
            self.error = BagError(f'cannot write {self.writer.partial_dir}: '
                                  f'{type(err).__name__}: {err}')

    def _write(self) -> None:
        flushed_s, unflushed = time.monotonic(), False
        ending = False
        while not ending:
            ending = self._ending.wait(_BATCH_S)
            with self._lock:
                batch, self._queue = self._queue, []
                self._queued_bytes = 0
            for item in by_arrival(batch):
                self.writer.write(*item)
                self.judge.see(*item[:3])
            unflushed = unflushed or bool(batch)
            now_s = time.monotonic()
            if unflushed and now_s - flushed_s >= FLUSH_S:
                self.writer.flush()
                flushed_s, unflushed = now_s, False
        self.writer.flush()
