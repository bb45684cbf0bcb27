package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.types.Row;

/**
 * Bytes whose first line says the key of the next stage, as {@code Row(key, the rest)}.
 *
 * <p>So a Python function re-keys a stream without a Python operator of PyFlink's own and without a
 * converter for each field.
 */
public final class KeyLine implements MapFunction<byte[], Row>, ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1L;

    @Override
    public Row map(byte[] value) {
        for (int i = 0; i < value.length; i++) {
            if (value[i] == '\n') {
                String key = new String(value, 0, i, StandardCharsets.UTF_8);
                return Row.of(key, Arrays.copyOfRange(value, i + 1, value.length));
            }
        }
        throw new IllegalArgumentException("a record for the next stage has no line with its key");
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
