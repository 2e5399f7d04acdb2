"""What the scripts here have in common: a stack's life around a test, and how
its outcome is said."""


def verdict(stack, test, result):
    """Start the stack, run test() and stop the stack; the exit status.

    test() returns what is wrong, a text each; what the stack has to say of its
    own end is added.  All that together is one test, counted in the file
    `result` where one is named."""
    stack.start()
    problems = ["the test itself failed"]
    try:
        problems = test()
    finally:
        problems = problems + stack.stop()
        for what in problems:
            print(f"FAILED {what}")
        if result:
            with open(result, "a", encoding="utf-8") as f:
                f.write(f"passed={int(not problems)} "
                        f"failed={len(problems)}\n")
    return 1 if problems else 0
