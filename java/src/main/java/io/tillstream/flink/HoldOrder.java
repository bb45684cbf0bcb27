package io.tillstream.flink;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * What the fraud job says of a sale, {@code tillstream/domain/fraud/actions.py}.
 *
 * <p>{@code domain/loyalty/held.py} is the same contract for Python, which says why a record is refused.
 * tests/connectors/test_held_sales.py holds the two together.
 */
public final class HoldOrder {
    private static final JsonFactory STRICT =
            new JsonFactory().enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);
    private static final Pattern ID = Pattern.compile("[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}");
    private static final Pattern CURRENCY = Pattern.compile("[A-Z]{3}");
    private static final int LONGEST_REGION = 64;
    private static final long FROM_2015_MS = 1_420_070_400_000L;
    private static final long TO_2100_MS = 4_133_980_800_000L;
    private static final long MOST = (1L << 53) - 1;

    String transactionId;
    /** hold, release or decline. */
    String action;

    /** Null: of nobody. */
    String customer;

    Integer store;
    Long soldMs;
    Long orderedMs;
    /** With the currency, of a hold alone. */
    Long cents;

    String currency;

    private HoldOrder() {}

    /** Whether {@code envelope} holds one. Never throws. */
    public static boolean matches(byte[] envelope) {
        return read(envelope) != null;
    }

    /** Null where {@code envelope} holds anything else. Never throws. */
    static HoldOrder read(byte[] envelope) {
        int start = Envelope.headEnd(envelope) + 1;
        try {
            ByteBuffer payload = ByteBuffer.wrap(envelope, start, envelope.length - start);
            String json = StandardCharsets.UTF_8.newDecoder().decode(payload).toString();
            try (JsonParser parser = STRICT.createParser(json)) {
                HoldOrder order = new HoldOrder();
                order.fill(parser);
                return parser.nextToken() == null && order.isWhole() ? order : null;
            }
        } catch (IOException | RuntimeException notOne) {
            return null;
        }
    }

    boolean isHold() {
        return action.equals("hold");
    }

    private void fill(JsonParser parser) throws IOException {
        CanonicalReceipt.expect(parser.nextToken() == JsonToken.START_OBJECT);
        String name;
        while ((name = parser.nextFieldName()) != null) {
            boolean isNull = parser.nextToken() == JsonToken.VALUE_NULL;
            switch (name) {
                case "transaction_id":
                    transactionId = text(parser, ID);
                    break;
                case "action":
                    action = CanonicalReceipt.text(parser);
                    break;
                case "customer_id":
                    customer = isNull ? null : text(parser, ID);
                    break;
                case "store":
                    store = (int) whole(parser, 0, Integer.MAX_VALUE);
                    break;
                case "event_time_ms":
                    soldMs = whole(parser, FROM_2015_MS, TO_2100_MS - 1);
                    break;
                case "ordered_at_ms":
                    orderedMs = whole(parser, FROM_2015_MS, TO_2100_MS - 1);
                    break;
                case "total_cents":
                    cents = isNull ? null : (Long) whole(parser, -MOST, MOST);
                    break;
                case "currency":
                    currency = isNull ? null : text(parser, CURRENCY);
                    break;
                case "region":
                    String region = isNull ? "" : CanonicalReceipt.text(parser);
                    CanonicalReceipt.expect(
                            region.codePointCount(0, region.length()) <= LONGEST_REGION);
                    break;
                default:
                    CanonicalReceipt.skip(parser);
            }
        }
        CanonicalReceipt.expect(parser.currentToken() == JsonToken.END_OBJECT);
    }

    private static String text(JsonParser parser, Pattern pattern) throws IOException {
        String found = CanonicalReceipt.text(parser);
        CanonicalReceipt.expect(pattern.matcher(found).matches());
        return found;
    }

    private static long whole(JsonParser parser, long least, long most) throws IOException {
        CanonicalReceipt.expect(parser.currentToken() == JsonToken.VALUE_NUMBER_INT);
        long value = parser.getLongValue();
        CanonicalReceipt.expect(least <= value && value <= most);
        return value;
    }

    private boolean isWhole() {
        return transactionId != null && action != null && store != null && soldMs != null
                && orderedMs != null
                && (action.equals("hold") || action.equals("release") || action.equals("decline"));
    }
}
