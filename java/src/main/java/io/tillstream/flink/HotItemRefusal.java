package io.tillstream.flink;

/** An item that no table takes, now or later; it becomes a dead letter. The message quotes no value. */
final class HotItemRefusal extends Exception {
    private static final long serialVersionUID = 1L;

    final String reason;

    HotItemRefusal(String reason, String message) {
        super(message, null, false, false);
        this.reason = reason;
    }
}
