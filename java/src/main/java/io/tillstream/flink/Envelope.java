package io.tillstream.flink;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Wraps a raw record as {@code Row(key, value)}, whatever stream it came from.
 *
 * <p>{@code key} is the record's key field, or {@code ~<n>} with n in 0..4095 from a hash of the
 * payload when there is none, so that keyless records spread and the same bytes meet again.
 * {@code value} is {@code <origin>|<broker timestamp, ms>\n<payload>}, the head in Latin-1.
 */
public final class Envelope implements Serializable {
    private static final long serialVersionUID = 1L;
    static final String KEYLESS = "~";
    private static final int KEYLESS_SPREAD = 4095;
    private static final byte[] EMPTY = new byte[0];

    private final TopLevelField keyField;

    /** With null the key is left empty, for a stream that is keyed later. */
    public Envelope(String keyField) {
        this.keyField = keyField == null ? null : new TopLevelField(keyField);
    }

    public static TypeInformation<Row> type() {
        return Types.ROW_NAMED(
                new String[] {"key", "value"},
                Types.STRING,
                PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);
    }

    /** A null payload (a Kafka tombstone) counts as an empty one. Never throws. */
    Row wrap(byte[] payloadOrNull, String origin, long timestampMs) {
        return row(head(origin, timestampMs), payloadOrNull == null ? EMPTY : payloadOrNull);
    }

    /** The same, a row for each of the record's {@link Pieces}. */
    public void wrap(byte[] payloadOrNull, String origin, long timestampMs, Collector<Row> out) {
        byte[] head = head(origin, timestampMs);
        for (byte[] piece : Pieces.of(payloadOrNull == null ? EMPTY : payloadOrNull)) {
            out.collect(row(head, piece));
        }
    }

    private static byte[] head(String origin, long timestampMs) {
        return (origin + '|' + timestampMs + '\n').getBytes(StandardCharsets.ISO_8859_1);
    }

    /** Index of the newline that ends an envelope's head. */
    static int headEnd(byte[] envelope) {
        int newline = 0;
        while (envelope[newline] != '\n') {
            newline++;
        }
        return newline;
    }

    Row row(byte[] head, byte[] payload) {
        byte[] value = Arrays.copyOf(head, head.length + payload.length);
        System.arraycopy(payload, 0, value, head.length, payload.length);
        if (keyField == null) {
            return Row.of("", value);
        }
        String key = keyField.read(payload);
        return Row.of(key == null ? keyless(payload) : key, value);
    }

    static String keyless(byte[] payload) {
        int hash = Arrays.hashCode(payload);
        return KEYLESS + ((hash ^ hash >>> 16) & KEYLESS_SPREAD);
    }
}
