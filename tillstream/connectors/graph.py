"""What a job is made of in the engine, for those that compare it with what runs."""

from __future__ import annotations

from tillstream.connectors.context import JobContext


def operators(context: JobContext) -> dict[str, str]:
    """uid -> name of each operator of a job that was built and not started. Raises ValueError for one
    without a uid, or a uid that is there twice: its state would be lost at the next change."""
    graph = context.env._j_stream_execution_environment.getStreamGraph(False)
    found = [
        (n.getTransformationUID(), n.getOperatorName()) for n in graph.getStreamNodes().toArray()
    ]
    nameless = [name for uid, name in found if not uid]
    if nameless:
        raise ValueError(f"no uid on {nameless}: their state would be lost at the next change")
    if len({uid for uid, _ in found}) != len(found):
        raise ValueError("a uid is there twice")
    return dict(sorted(found))
