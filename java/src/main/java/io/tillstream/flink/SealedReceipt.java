package io.tillstream.flink;

import java.util.Arrays;

/**
 * The till transaction in an envelope, as {@code tillstream/domain/arrival.py} reads it: of the
 * contract, and no further ahead of the broker's clock than a till's may run.
 */
final class SealedReceipt {
    final byte[] payload;
    /** When the broker took it, ms UTC. */
    final long arrivedMs;
    /** Null where the record is refused; Python says why. */
    final TillReceipt receipt;

    /** @param clockAheadMs how far a till's clock may run ahead of the broker's */
    SealedReceipt(byte[] envelope, long clockAheadMs) {
        arrivedMs = ArrivalTimes.of(envelope);
        int newline = Envelope.headEnd(envelope);
        payload = Arrays.copyOfRange(envelope, newline + 1, envelope.length);
        TillReceipt read = TillReceipt.read(payload);
        receipt = read == null || read.eventTimeMs > arrivedMs + clockAheadMs ? null : read;
    }
}
