package io.tillstream.flink;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * Reads one field at the top level of a JSON object, a string or a whole number as its digits,
 * without building a tree.
 *
 * <p>Several names joined by {@code +} are read as one value, joined by {@code :}, e.g. {@code
 * store+till} of {@code {"store":45,"till":3}} is {@code 45:3}.
 *
 * <p>Where a field is there twice the last one counts, as it does for Python's parsers: both sides
 * must see the same value.
 */
final class TopLevelField implements Serializable {
    private static final long serialVersionUID = 1L;

    private final String[] names;

    TopLevelField(String name) {
        this.names = name.split("\\+");
    }

    /** The value, or null if a field is absent, of another type, or the bytes are no JSON object. */
    String read(byte[] json) {
        if (json == null || json.length == 0) {
            return null;
        }
        // Input is whatever a till sent: any failure of the parser means only "no such field".
        try (JsonParser parser = Json.FACTORY.createParser(json)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return null;
            }
            String[] found = new String[names.length];
            String field;
            while ((field = parser.nextFieldName()) != null) {
                JsonToken token = parser.nextToken();
                for (int i = 0; i < names.length; i++) {
                    if (field.equals(names[i])) {
                        found[i] = counts(token) ? parser.getText() : null;
                    }
                }
                Json.skip(parser);
            }
            return parser.currentToken() == JsonToken.END_OBJECT ? joined(found) : null;
        } catch (IOException | RuntimeException notJson) {
            return null;
        }
    }

    private static boolean counts(JsonToken token) {
        return token == JsonToken.VALUE_STRING || token == JsonToken.VALUE_NUMBER_INT;
    }

    /** Null unless every part was found. */
    private static String joined(String[] parts) {
        for (String part : parts) {
            if (part == null) {
                return null;
            }
        }
        return String.join(":", parts);
    }
}
