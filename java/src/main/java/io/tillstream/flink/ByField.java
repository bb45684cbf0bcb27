package io.tillstream.flink;

import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.types.Row;

/** JSON objects as {@code Row(key, json)}, to be keyed anew by one of their string fields. */
public final class ByField implements MapFunction<byte[], Row>, ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1L;

    private final TopLevelField field;

    public ByField(String field) {
        this.field = new TopLevelField(field);
    }

    @Override
    public Row map(byte[] json) {
        String key = field.read(json);
        return Row.of(key == null ? Envelope.keyless(json) : key, json);
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
