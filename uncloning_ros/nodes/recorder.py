# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record demonstrations from the contract's topics: one bag for each episode."""

import queue
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from std_srvs.srv import Trigger

import uncloning_ros
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bag import (
    BagTopic,
    EpisodeMetadata,
    bag_topics,
    episode_name,
    next_episode_index,
)
from uncloning_ros.demos.bag_writer import EpisodeWriter
from uncloning_ros.errors import BagError, UncloningError
from uncloning_ros.nodes.common import (
    LATCHED_QOS,
    Parameter,
    as_json,
    contract_at,
    declare,
    message_class,
    ros_now_ns,
    run_node,
)

PARAMETERS = (
    Parameter('out', 'demos', 'folder of the episodes; made if missing, nothing overwritten'),
    Parameter('session', '', "name of this session; '' is the time at which the node began"),
    Parameter('operator', 'unknown', 'who demonstrates'),
    Parameter('planned_mode', '', "mode that the operator was asked for; '' if none"),
    Parameter('contract_path', '', "contract with this robot's topics; '' is the shipped one"),
    Parameter('autostart', False, 'start an episode as soon as every observation arrives'),
)

# So many messages wait in the middleware while the executor is busy: seconds at any robot's rate.
_DEPTH = 1000
# How often offered QoS, the writer's health and autostart are looked at.
_CHECK_S = 0.2
# An observation that did not arrive for so long, or for its maximum age, is silent.
_SILENT_NS = 2 * 10**9
# Launch kills a process 5 s after SIGINT; the bag has to be closed well before.
_CLOSE_TIMEOUT_S = 4.0


class EpisodeThread:
    """Write one episode in a thread of its own, so that a slow disk delays no message.

    The thread alone touches the writer until it ended; `put` never blocks. The first error ends
    the writing, is kept in `error`, and leaves the `.partial` directory.
    """

    def __init__(self, writer: EpisodeWriter, index: int) -> None:
        self._writer = writer
        self.index = index
        self._queue: queue.SimpleQueue[tuple[str, bytes, int, int] | None] = queue.SimpleQueue()
        self.error: UncloningError | None = None
        self._thread = threading.Thread(target=self._run, name='episode_writer', daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """Return the name of the episode."""
        return self._writer.final_dir.name

    def put(self, topic: str, cdr: bytes, receive_ns: int, source_ns: int) -> None:
        """Hand over one serialised message."""
        self._queue.put((topic, cdr, receive_ns, source_ns))

    def commit(self, event: dict[str, Any], now_ns: int) -> Path:
        """Write what was handed over and a last event; return the episode's final directory."""
        self._end()
        self._writer.write_event(event, now_ns)
        return self._writer.commit()

    def empty_topics(self) -> list[str]:
        """Return the contract's topics without a message; after `commit()`."""
        return [name for name in self._writer.topics if not self._writer.counts[name]]

    def discard(self) -> None:
        """Remove what was written."""
        self._end()
        self._writer.discard()

    def _end(self) -> None:
        self._queue.put(None)
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            raise BagError(f'{self._writer.partial_dir}: the disk did not take everything within '
                           f'{_CLOSE_TIMEOUT_S:g} s; what was written stays there')
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                self._writer.write(*item)
                if self._queue.empty():
                    self._writer.flush()
        except UncloningError as err:
            self.error = err
        except Exception as err:  # noqa: BLE001 - a bag with a hole must not pass for whole
            self.error = BagError(f'cannot write {self._writer.partial_dir}: '
                                  f'{type(err).__name__}: {err}')


class Recorder(Node):
    """Subscribe to everything in the contract; keep it while an episode is open.

    Messages are taken as bytes, with the middleware's own stamps in ROS system time. Callbacks
    run on the executor's thread, the disk has its own.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('recorder', **node_options)
        values = declare(self, PARAMETERS)
        self._contract: Contract = contract_at(values['contract_path'])
        self._out = Path(values['out']).expanduser()
        self._session: str = values['session'] or f'session_{ros_now_ns(self) // 10**9}'
        self._operator: str = values['operator']
        self._planned_mode: str | None = values['planned_mode'] or None
        if self._planned_mode is not None:
            self._contract.interface.require_modes([self._planned_mode])
        self._autostart: bool = values['autostart']
        self._episode: EpisodeThread | None = None
        self._topics = bag_topics(self._contract)
        self._silent_after_ns = {
            '/' + topic.topic.lstrip('/'): max(_SILENT_NS, round((topic.max_age_s or 0) * 1e9))
            for topic in self._contract.deployment.observations.values()}
        self._seen_ns: dict[str, int] = {}
        # Reliable from the start, so that our own publishers' first messages are not lost.
        self._reliability = dict.fromkeys(self._topics, ReliabilityPolicy.RELIABLE)
        self._subscriptions_by_topic = {name: self._subscribe(topic)
                                        for name, topic in self._topics.items()}
        self._events = self.create_publisher(String, '~/episode_event', LATCHED_QOS)
        for name in ('start', 'stop', 'discard'):
            self.create_service(Trigger, f'~/{name}_episode',
                                partial(self._answer, getattr(self, f'_{name}')))
        self.create_timer(_CHECK_S, self._on_check)

    def close(self) -> None:
        """Finish the open episode and destroy the node."""
        if self._episode is not None:
            try:
                self.get_logger().info(self._stop())
            except UncloningError as err:
                self.get_logger().error(str(err))
        self.destroy_node()

    def _subscribe(self, topic: BagTopic) -> Any:
        qos = QoSProfile(depth=_DEPTH, reliability=self._reliability[topic.name])
        return self.create_subscription(message_class(topic.type), self._live_name(topic),
                                        partial(self._on_message, topic.name), qos, raw=True)

    def _live_name(self, topic: BagTopic) -> str:
        """Return the topic as the contract names it: namespaces and remappings apply to it."""
        deployment = self._contract.deployment
        key = topic.signals[0].key
        return (deployment.observations.get(key) or deployment.actions[key]).topic

    def _on_message(self, name: str, cdr: bytes, info: dict[str, int]) -> None:
        self._seen_ns[name] = time.monotonic_ns()
        if self._episode is not None:
            self._episode.put(name, cdr, info['received_timestamp'], info['source_timestamp'])

    def _on_check(self) -> None:
        for name, topic in self._topics.items():
            offers = self.get_publishers_info_by_topic(self.resolve_topic_name(
                self._live_name(topic)))
            best_effort = any(offer.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
                              for offer in offers)
            if best_effort and self._reliability[name] != ReliabilityPolicy.BEST_EFFORT:
                self.get_logger().warning(f'{name} is offered as best effort: losses in the '
                                          f'network will be losses in the bag')
                self._reliability[name] = ReliabilityPolicy.BEST_EFFORT
                self.destroy_subscription(self._subscriptions_by_topic[name])
                self._subscriptions_by_topic[name] = self._subscribe(topic)
        if self._episode is not None and self._episode.error is not None:
            self.get_logger().error(f'{self._episode.name} ended: {self._episode.error}')
            self._tell('fail', self._episode.index)
            self._episode = None
        if self._autostart and not self._silent():
            self._autostart = False
            self.get_logger().info(self._start())

    def _answer(self, action: Any, _: Any, response: Any) -> Any:
        """Answer a service call with what an action says, or with why it could not be done."""
        try:
            response.success, response.message = True, action()
            self.get_logger().info(response.message)
        except UncloningError as err:
            response.success, response.message = False, str(err)
            self.get_logger().error(response.message)
        return response

    def _start(self) -> str:
        if self._episode is not None:
            raise BagError(f'{self._episode.name} is open; stop or discard it first')
        silent = self._silent()
        if silent:
            raise BagError(f'nothing arrives on {", ".join(silent)}; check the publishers and '
                           f'deployment in the contract')
        index = next_episode_index(self._out)
        metadata = EpisodeMetadata(self._session, index, self._operator, self._planned_mode,
                                   uncloning_ros.__version__)
        writer = EpisodeWriter(self._out / episode_name(index), self._contract, metadata)
        writer.write_event(self._event('start', index), ros_now_ns(self))
        self._episode = EpisodeThread(writer, index)
        self._tell('start', index)
        return f'recording {writer.final_dir}'

    def _stop(self) -> str:
        episode = self._require_open()
        try:
            path = episode.commit(self._event('stop', episode.index), ros_now_ns(self))
        except UncloningError:
            self._tell('fail', episode.index)
            raise
        self._tell('stop', episode.index)
        empty = episode.empty_topics()
        if empty:
            return f'kept {path}, but nothing arrived on {", ".join(empty)}: it cannot be used'
        return f'kept {path}'

    def _discard(self) -> str:
        episode = self._require_open()
        episode.discard()
        self._tell('discard', episode.index)
        return f'discarded {episode.name}'

    def _require_open(self) -> EpisodeThread:
        if self._episode is None:
            raise BagError('no episode is open; start one first')
        episode, self._episode = self._episode, None
        return episode

    def _silent(self) -> list[str]:
        """Return the observations that do not arrive now."""
        now_ns = time.monotonic_ns()
        return sorted(name for name, limit_ns in self._silent_after_ns.items()
                      if name not in self._seen_ns or now_ns - self._seen_ns[name] > limit_ns)

    def _event(self, event: str, index: int) -> dict[str, Any]:
        return {'event': event, 'episode': index, 'mode': self._planned_mode}

    def _tell(self, event: str, index: int) -> None:
        self._events.publish(as_json(self._event(event, index)))


def main(args: Sequence[str] | None = None) -> int:
    """Run the recorder until SIGINT or SIGTERM; the open episode is finished."""
    return run_node(Recorder, args)


if __name__ == '__main__':
    sys.exit(main())
