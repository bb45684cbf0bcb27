from tillstream.clients.flink import root_cause
from tillstream.cluster.starting import client_cause

EMBEDDED = """org.apache.flink.runtime.JobException: Recovery is suppressed
\tat org.apache.flink.Foo.bar(Foo.java:1)
Caused by: pemja.core.PythonException: <class 'ValueError'>: seventh record
\tat /app/udfs/loyalty.process_element(loyalty.py:23)
\tat /venv/pyflink/operations.process_func(operations.py:115)
\tat java.base/java.lang.Thread.run(Thread.java:840)
"""

PROCESS = """java.lang.Exception: outer
Caused by: java.lang.RuntimeException: Error received from SDK harness: Traceback (most recent call last):
  File "/app/udfs/loyalty.py", line 3, in process_element
    raise ValueError("no")
ValueError: no

\tat org.apache.beam.Foo.bar(Foo.java:1)
"""


def test_the_innermost_cause_with_the_line_of_our_python():
    assert root_cause(EMBEDDED) == (
        "pemja.core.PythonException: <class 'ValueError'>: seventh record\n"
        "  at /app/udfs/loyalty.process_element(loyalty.py:23)"
    )


def test_the_tail_of_a_python_traceback():
    assert root_cause(PROCESS).endswith("ValueError: no")


def test_a_trace_without_a_cause_is_its_first_line():
    assert root_cause("it broke\n") == "it broke"


def test_a_job_file_that_raises_is_shown_by_its_own_error():
    said = (
        'noise\nTraceback (most recent call last):\n  File "a.py", line 1\nValueError: x is wrong\n'
    )
    assert client_cause(said).startswith("ValueError: x is wrong")


def test_a_savepoint_that_does_not_fit_is_told_though_flink_says_more_after_it():
    said = """Traceback (most recent call last):
  File "/app/jobs/loyalty.py", line 40, in <module>
py4j.protocol.Py4JJavaError: An error occurred while calling o9.execute.
: org.apache.flink.util.FlinkException: Failed to execute job 'loyalty'.
\tat org.apache.flink.Foo.bar(Foo.java:1)
Caused by: java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint file:/s
\tat org.apache.flink.Foo.bar(Foo.java:1)

org.apache.flink.client.program.ProgramAbortException: java.lang.RuntimeException: Python process
\tat org.apache.flink.Foo.bar(Foo.java:1)
Caused by: java.lang.RuntimeException: Python process exits with code: 1
"""
    assert client_cause(said) == (
        "java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint file:/s"
    )
