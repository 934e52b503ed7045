"""``python -m tests.benchmarks``: one thread is asked for before any library is loaded."""

from tests.benchmarks.machine import ask_for_one_thread

if __name__ == "__main__":
    ask_for_one_thread()
    from tests.benchmarks.command import main

    main()
