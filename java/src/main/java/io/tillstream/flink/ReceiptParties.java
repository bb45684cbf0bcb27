package io.tillstream.flink;

import java.io.IOException;
import java.util.LinkedHashSet;
import java.util.Set;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * Whose a transaction of the front door is, and which earlier receipts it takes back, in one pass of a
 * streaming parser.
 *
 * <p>No more is looked at. Whether it is a transaction at all the stage behind says, and writes the dead
 * letter of one that is none.
 */
final class ReceiptParties {
    private static final long FROM_2015_MS = 1_420_070_400_000L;
    private static final long TO_2100_MS = 4_133_980_800_000L;

    String transactionId;
    /** "" for nobody. */
    String customer = "";
    /** ms UTC, 0 where it does not say, or is none that a transaction may have. */
    long endedMs;
    /** Receipts that it undoes, or of which goods come back, each once, in the order of its lines. */
    final Set<String> originals = new LinkedHashSet<>();

    private ReceiptParties() {}

    /** Null where {@code envelope} holds no JSON object with these fields. Never throws. */
    static ReceiptParties read(byte[] envelope) {
        int start = Envelope.headEnd(envelope) + 1;
        try (JsonParser parser =
                Json.FACTORY.createParser(envelope, start, envelope.length - start)) {
            ReceiptParties receipt = new ReceiptParties();
            receipt.fill(parser);
            boolean named = receipt.transactionId != null && !receipt.transactionId.isEmpty();
            return named ? receipt : null;
        } catch (IOException | RuntimeException notCanonical) {
            return null;
        }
    }

    private void fill(JsonParser parser) throws IOException {
        CanonicalReceipt.expect(parser.nextToken() == JsonToken.START_OBJECT);
        String name;
        while ((name = parser.nextFieldName()) != null) {
            parser.nextToken();
            switch (name) {
                case "transaction_id":
                    transactionId = CanonicalReceipt.text(parser);
                    break;
                case "customer":
                    customer = CanonicalReceipt.text(parser);
                    break;
                case "ended_ms":
                    boolean whole = parser.currentToken() == JsonToken.VALUE_NUMBER_INT;
                    long ms = whole ? parser.getLongValue() : 0;
                    endedMs = FROM_2015_MS <= ms && ms < TO_2100_MS ? ms : 0;
                    break;
                case "voids":
                    original(CanonicalReceipt.text(parser));
                    break;
                case "lines":
                    lines(parser);
                    break;
                default:
                    CanonicalReceipt.skip(parser);
            }
        }
        CanonicalReceipt.expect(parser.currentToken() == JsonToken.END_OBJECT);
    }

    private void lines(JsonParser parser) throws IOException {
        CanonicalReceipt.expect(parser.currentToken() == JsonToken.START_ARRAY);
        while (parser.nextToken() == JsonToken.START_OBJECT) {
            String name;
            while ((name = parser.nextFieldName()) != null) {
                parser.nextToken();
                if (name.equals("of")) {
                    original(CanonicalReceipt.text(parser));
                } else {
                    CanonicalReceipt.skip(parser);
                }
            }
        }
        CanonicalReceipt.expect(parser.currentToken() == JsonToken.END_ARRAY);
    }

    private void original(String id) {
        if (!id.isEmpty()) {
            originals.add(id);
        }
    }
}
