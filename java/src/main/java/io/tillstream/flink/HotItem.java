package io.tillstream.flink;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * One version of an item; {@code values} in the order of the sink's attributes, null if absent.
 * A field that is there and null is {@link #REMOVED} where the sink merges.
 */
final class HotItem {
    /** Told from a text by identity. */
    static final String REMOVED = new String("null");

    final String key;
    final long version;
    final String[] values;
    /** When it is to be written at the latest, by {@link System#nanoTime()}. */
    final long dueNanos;

    HotItem(String key, long version, String[] values, long dueNanos) {
        this.key = key;
        this.version = version;
        this.values = values;
        this.dueNanos = dueNanos;
    }

    HotItem dueAt(long nanos) {
        return nanos == dueNanos ? this : new HotItem(key, version, values, nanos);
    }

    /** This newer version with what only the older one brings. */
    HotItem over(HotItem older) {
        String[] merged = values.clone();
        for (int i = 0; i < merged.length; i++) {
            if (merged[i] == null) {
                merged[i] = older.values[i];
            }
        }
        return new HotItem(key, version, merged, dueNanos);
    }

    /** Reads items out of JSON objects, and writes them as such for the sink's state. */
    static final class Format {
        private final HotItemSink sink;
        private final Map<String, Integer> positions = new HashMap<>();

        Format(HotItemSink sink) {
            this.sink = sink;
            for (int i = 0; i < sink.attributes.size(); i++) {
                positions.put(sink.attributes.get(i).field, i);
            }
        }

        HotItem parse(byte[] json, long dueNanos) throws IOException {
            String[] values = new String[sink.attributes.size()];
            try (JsonParser parser = TopLevelField.JSON.createParser(json)) {
                parser.nextToken();
                String field;
                while ((field = parser.nextFieldName()) != null) {
                    JsonToken token = parser.nextToken();
                    Integer position = positions.get(field);
                    if (position != null) {
                        boolean there = token.isScalarValue() && token != JsonToken.VALUE_NULL;
                        boolean removed = sink.merge && token == JsonToken.VALUE_NULL;
                        values[position] = there ? parser.getText() : removed ? REMOVED : null;
                    }
                    parser.skipChildren();
                }
            }
            String key = values[sink.keyPosition];
            String version = values[sink.versionPosition];
            if (key == null || version == null) {
                int missing = key == null ? sink.keyPosition : sink.versionPosition;
                throw new IOException(
                        sink.where() + ": a record has no " + sink.attributes.get(missing).field);
            }
            return new HotItem(key, Long.parseLong(version), values, dueNanos);
        }

        /** By field name, so that a later release may declare its attributes in another order. */
        byte[] json(HotItem item) throws IOException {
            ByteArrayOutputStream out = new ByteArrayOutputStream(160);
            try (JsonGenerator generator = TopLevelField.JSON.createGenerator(out)) {
                generator.writeStartObject();
                for (int i = 0; i < item.values.length; i++) {
                    if (item.values[i] == REMOVED) {
                        generator.writeNullField(sink.attributes.get(i).field);
                    } else if (item.values[i] != null) {
                        generator.writeStringField(sink.attributes.get(i).field, item.values[i]);
                    }
                }
                generator.writeEndObject();
            }
            return out.toByteArray();
        }
    }

    /** Items in the sink's state: version 1 is the JSON object as it stands. */
    static final class StateFormat implements SimpleVersionedSerializer<byte[]> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(byte[] json) {
            return json;
        }

        @Override
        public byte[] deserialize(int version, byte[] stored) throws IOException {
            if (version != 1) {
                throw new IOException(
                        "hot items in this savepoint have version " + version
                                + ", this release reads 1: restore with the release that wrote it");
            }
            return stored;
        }
    }
}
