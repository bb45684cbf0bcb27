package io.tillstream.flink;

import java.io.IOException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * What every reader of JSON here shares, with the limits of what it takes.
 *
 * <p>Flink 1.20's Jackson has none. That of 2.x refuses texts over 20,000,000 characters, numbers over
 * 1,000 digits and a depth over 1,000, so a record or a dead letter stays below these by our own limits.
 */
final class Json {
    static final JsonFactory FACTORY = new JsonFactory();
    /** No field twice. */
    static final JsonFactory STRICT =
            new JsonFactory().enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);
    /** The most that a record may unpack to, and that a dead letter carries of one: in base64 it is 4/3. */
    static final int MOST_BYTES = 8 << 20;

    private static final int MOST_DEPTH = 1_000; // each level takes memory, and Python reads no deeper

    private Json() {}

    /** Past the value that the parser stands on. */
    static void skip(JsonParser parser) throws IOException {
        skip(parser, MOST_DEPTH);
    }

    static void skip(JsonParser parser, int mostDepth) throws IOException {
        int depth = parser.currentToken().isStructStart() ? 1 : 0;
        while (depth > 0) {
            JsonToken token = parser.nextToken();
            if (token == null) {
                throw new IOException("cut short");
            }
            if (token.isStructStart() && ++depth > mostDepth) {
                throw new IOException("too deep");
            }
            if (token.isStructEnd()) {
                depth--;
            }
        }
    }
}
