package io.tillstream.flink.kinesis;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What Amazon's producer library packed into one record: four magic bytes, a protobuf message, its MD5.
 * Of the message, field 3 is repeated, and of each such record field 3 is the data; see "KPL Aggregated
 * Record Format" of amazon-kinesis-producer. Whatever is not whole is one record, as it came.
 */
public final class Aggregate {
    private static final byte[] MAGIC = {(byte) 0xf3, (byte) 0x89, (byte) 0x9a, (byte) 0xc2};
    private static final int MD5_BYTES = 16;
    private static final int BYTES = 2; // wire type of what has a length

    private final byte[] raw;
    private int at;

    private Aggregate(byte[] raw, int from) {
        this.raw = raw;
        this.at = from;
    }

    /** At least one. Never throws. */
    public static List<byte[]> of(byte[] raw) {
        int end = raw.length - MD5_BYTES;
        if (end < MAGIC.length || !Arrays.equals(raw, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
            return List.of(raw);
        }
        byte[] message = Arrays.copyOfRange(raw, MAGIC.length, end);
        if (!Arrays.equals(md5(message), 0, MD5_BYTES, raw, end, raw.length)) {
            return List.of(raw);
        }
        List<byte[]> out = new ArrayList<>();
        try {
            for (byte[] record : new Aggregate(message, 0).third()) {
                out.addAll(new Aggregate(record, 0).third());
            }
        } catch (RuntimeException notProtobuf) {
            return List.of(raw);
        }
        return out.isEmpty() ? List.of(raw) : out;
    }

    /** Contents of every field 3. */
    private List<byte[]> third() {
        List<byte[]> out = new ArrayList<>();
        while (at < raw.length) {
            long tag = number();
            if ((tag & 7) == BYTES) {
                int length = Math.toIntExact(number());
                if (length < 0 || length > raw.length - at) {
                    throw new IllegalArgumentException("cut short");
                }
                if (tag >>> 3 == 3) {
                    out.add(Arrays.copyOfRange(raw, at, at + length));
                }
                at += length;
            } else if ((tag & 7) == 0) {
                number();
            } else {
                throw new IllegalArgumentException("no such field in an aggregate");
            }
        }
        return out;
    }

    private long number() {
        long out = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            byte next = raw[at++];
            out |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return out;
            }
        }
        throw new IllegalArgumentException("no such number");
    }

    private static byte[] md5(byte[] message) {
        try {
            return MessageDigest.getInstance("MD5").digest(message);
        } catch (NoSuchAlgorithmException everyJavaHasIt) {
            throw new IllegalStateException(everyJavaHasIt);
        }
    }
}
