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

    private static final int DIGITS_OF_A_DOUBLE = 308; // before its point
    private static final int MOST_DEPTH = 1_000; // each level takes memory, and Python reads no deeper

    private Json() {}

    /** Past the value that the parser stands on. */
    static void skip(JsonParser parser) throws IOException {
        skip(parser, MOST_DEPTH, any -> {});
    }

    /** The same within a contract that Python reads too. */
    static void skipStrictly(JsonParser parser, int mostDepth) throws IOException {
        skip(parser, mostDepth, Json::expectNumber);
    }

    private interface Look {
        void at(JsonParser parser) throws IOException;
    }

    private static void skip(JsonParser parser, int mostDepth, Look look) throws IOException {
        look.at(parser);
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
            look.at(parser);
        }
    }

    /** A number, if it is one, is within those of a double: Python takes a larger one for no JSON. */
    private static void expectNumber(JsonParser parser) throws IOException {
        JsonToken token = parser.currentToken();
        boolean maybe =
                token == JsonToken.VALUE_NUMBER_FLOAT
                        || token == JsonToken.VALUE_NUMBER_INT
                                && parser.getTextLength() > DIGITS_OF_A_DOUBLE;
        if (maybe && Double.isInfinite(Double.parseDouble(parser.getText()))) {
            throw new IOException("a number beyond all");
        }
    }
}
