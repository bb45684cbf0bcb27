package io.tillstream.flink;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
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
public final class HotItem {
    /** Told from a text by identity. */
    static final String REMOVED = new String("null");
    /** The version of a group of fields of which the item brings none. */
    static final long ABSENT = Long.MIN_VALUE;
    private static final int OVERHEAD_BYTES = 400;

    final String key;
    /** By group of fields; where the sink does not merge there is one. */
    final long[] versions;
    final String[] values;
    /** When the oldest record in it came, and when it is to be written at the latest. */
    final long sinceNanos;
    final long dueNanos;
    /** What it takes of the memory, as good as. */
    final int bytes;

    HotItem(String key, long[] versions, String[] values, long sinceNanos, long dueNanos) {
        this.key = key;
        this.versions = versions;
        this.values = values;
        this.sinceNanos = sinceNanos;
        this.dueNanos = dueNanos;
        int length = 0;
        for (String value : values) {
            length += value == null ? 0 : value.length();
        }
        bytes = OVERHEAD_BYTES + length;
    }

    /** Reads items out of JSON objects, and writes them as such for the sink's state. */
    public static final class Format {
        private final HotItemSink sink;
        private final Map<String, Integer> positions = new HashMap<>();
        private final Map<String, Integer> groups = new HashMap<>();

        public Format(HotItemSink sink) {
            this.sink = sink;
            for (int i = 0; i < sink.attributes.size(); i++) {
                positions.put(sink.attributes.get(i).field, i);
            }
            for (int group = 1; group < sink.versions.size(); group++) {
                groups.put(sink.versions.get(group), group);
            }
        }

        /** Throws {@link HotItemRefusal} for what no table takes. */
        public HotItem parse(byte[] json, long sinceNanos, long dueNanos) throws HotItemRefusal {
            String[] values = new String[sink.attributes.size()];
            long[] versions = new long[sink.versions.size()];
            Arrays.fill(versions, ABSENT);
            try (JsonParser parser = Json.FACTORY.createParser(json)) {
                parser.nextToken();
                String field;
                while ((field = parser.nextFieldName()) != null) {
                    JsonToken token = parser.nextToken();
                    Integer position = positions.get(field);
                    if (position != null) {
                        boolean there = token.isScalarValue() && token != JsonToken.VALUE_NULL;
                        boolean removed = sink.merge && token == JsonToken.VALUE_NULL;
                        values[position] = there ? parser.getText() : removed ? REMOVED : null;
                    } else if (groups.containsKey(field)) { // of the sink's state
                        versions[groups.get(field)] = Long.parseLong(parser.getText());
                    }
                    Json.skip(parser);
                }
            } catch (IOException | RuntimeException notJson) {
                throw new HotItemRefusal("not_json", "not one JSON object as the sink reads it");
            }
            HotItemLimits.check(sink, values, json.length);
            long version = Long.parseLong(values[sink.versionPosition]);
            boolean[] brought = new boolean[versions.length];
            for (int i = 0; i < values.length; i++) {
                boolean field = i != sink.keyPosition && i != sink.versionPosition;
                brought[sink.attributes.get(i).group] |= field && values[i] != null;
            }
            brought[0] |= !sink.merge || versions.length == 1;
            for (int group = 0; group < versions.length; group++) {
                if (!brought[group]) {
                    versions[group] = ABSENT;
                } else if (versions[group] == ABSENT) {
                    versions[group] = version;
                }
            }
            return new HotItem(values[sink.keyPosition], versions, values, sinceNanos, dueNanos);
        }

        /** By field name, so that a later release may declare its attributes in another order. */
        public byte[] json(HotItem item) throws IOException {
            ByteArrayOutputStream out = new ByteArrayOutputStream(160);
            try (JsonGenerator generator = Json.FACTORY.createGenerator(out)) {
                generator.writeStartObject();
                for (int i = 0; i < item.values.length; i++) {
                    if (item.values[i] == REMOVED) {
                        generator.writeNullField(sink.attributes.get(i).field);
                    } else if (item.values[i] != null) {
                        generator.writeStringField(sink.attributes.get(i).field, item.values[i]);
                    }
                }
                for (int group = 1; group < item.versions.length; group++) {
                    if (item.versions[group] != ABSENT) {
                        String version = Long.toString(item.versions[group]);
                        generator.writeStringField(sink.versions.get(group), version);
                    }
                }
                generator.writeEndObject();
            }
            return out.toByteArray();
        }

        /**
         * One item of two versions of a key: of each group of fields the newer; of equal ones {@code
         * later}. Where the sink merges, with what only the older brings.
         */
        HotItem newest(HotItem earlier, HotItem later) {
            long since = Math.min(earlier.sinceNanos, later.sinceNanos);
            // A key waits no longer for having changed again.
            long due = Math.min(earlier.dueNanos, later.dueNanos);
            long[] versions = later.versions.clone();
            String[] values = later.values.clone();
            for (int group = 0; group < versions.length; group++) {
                versions[group] = Math.max(earlier.versions[group], later.versions[group]);
            }
            for (int i = 0; i < values.length; i++) {
                int group = sink.attributes.get(i).group;
                boolean turned = earlier.versions[group] > later.versions[group];
                String first = turned ? earlier.values[i] : later.values[i];
                String second = turned ? later.values[i] : earlier.values[i];
                values[i] = first == null && sink.merge ? second : first;
            }
            return new HotItem(later.key, versions, values, since, due);
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
