package io.tillstream.flink;

import java.io.IOException;
import java.util.regex.Pattern;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * What the fraud job says of a sale, {@code tillstream/domain/fraud/actions.py}.
 *
 * <p>{@code domain/loyalty/held.py} is the same contract for Python, which says why a record is refused.
 * tests/connectors/test_held_sales.py holds the two together.
 */
public final class HoldOrder {
    private static final Pattern CURRENCY = Pattern.compile("[A-Z]{3}");
    private static final int LONGEST_REGION = 64;
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
        return StrictJson.read(
                envelope,
                parser -> {
                    HoldOrder order = new HoldOrder();
                    order.fill(parser);
                    return order.isWhole() ? order : null;
                });
    }

    boolean isHold() {
        return action.equals("hold");
    }

    private void fill(JsonParser parser) throws IOException {
        String name;
        while ((name = parser.nextFieldName()) != null) {
            boolean isNull = parser.nextToken() == JsonToken.VALUE_NULL;
            switch (name) {
                case "transaction_id":
                    transactionId = StrictJson.text(parser, StrictJson.ID);
                    break;
                case "action":
                    action = CanonicalReceipt.text(parser);
                    break;
                case "customer_id":
                    customer = isNull ? null : StrictJson.text(parser, StrictJson.ID);
                    break;
                case "store":
                    store = (int) CanonicalReceipt.whole(parser, 0, Integer.MAX_VALUE);
                    break;
                case "event_time_ms":
                    soldMs = CanonicalReceipt.whole(parser, StrictJson.FROM_2015_MS, StrictJson.TO_2100_MS - 1);
                    break;
                case "ordered_at_ms":
                    orderedMs = CanonicalReceipt.whole(parser, StrictJson.FROM_2015_MS, StrictJson.TO_2100_MS - 1);
                    break;
                case "total_cents":
                    cents = isNull ? null : (Long) CanonicalReceipt.whole(parser, -MOST, MOST);
                    break;
                case "currency":
                    currency = isNull ? null : StrictJson.text(parser, CURRENCY);
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

    private boolean isWhole() {
        return transactionId != null && action != null && store != null && soldMs != null
                && orderedMs != null
                && (action.equals("hold") || action.equals("release") || action.equals("decline"));
    }
}
