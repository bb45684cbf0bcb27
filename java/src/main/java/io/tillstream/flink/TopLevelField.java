package io.tillstream.flink;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * Reads one field at the top level of a JSON object, a string or a whole number as its digits,
 * without building a tree.
 *
 * <p>Where a field is there twice the last one counts, as it does for Python's parsers: both sides
 * must see the same value.
 */
final class TopLevelField implements Serializable {
    private static final long serialVersionUID = 1L;

    static final JsonFactory JSON = new JsonFactory();

    private final String name;

    TopLevelField(String name) {
        this.name = name;
    }

    /** The field's value, or null if it is absent, of another type, or the bytes are no JSON object. */
    String read(byte[] json) {
        if (json == null || json.length == 0) {
            return null;
        }
        // Input is whatever a till sent: any failure of the parser means only "no such field".
        try (JsonParser parser = JSON.createParser(json)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return null;
            }
            String found = null;
            String field;
            while ((field = parser.nextFieldName()) != null) {
                JsonToken token = parser.nextToken();
                if (field.equals(name)) {
                    boolean read =
                            token == JsonToken.VALUE_STRING || token == JsonToken.VALUE_NUMBER_INT;
                    found = read ? parser.getText() : null;
                }
                parser.skipChildren();
            }
            return parser.currentToken() == JsonToken.END_OBJECT ? found : null;
        } catch (IOException | RuntimeException notJson) {
            return null;
        }
    }
}
