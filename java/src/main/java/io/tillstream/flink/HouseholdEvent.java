package io.tillstream.flink;

import java.io.IOException;
import java.util.regex.Pattern;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * A customer joins a household or leaves it: the contract state_schemas/events/household/v1.json.
 *
 * <p>{@code domain/loyalty/households.py} is the same contract for Python, which says why a record is
 * refused. tests/connectors/test_households.py holds the two together.
 */
public final class HouseholdEvent {
    private static final Pattern OWN = Pattern.compile("[0-9A-Za-z][0-9A-Za-z._-]{0,52}");
    private static final Pattern CODE = Pattern.compile("[a-z][a-z0-9_-]{0,31}");
    private static final long MOST_POINTS = 1_000_000_000;
    static final String ALL = "all";
    static final String NONE = "none";

    String id;
    boolean join;
    String customer;
    String household;
    /** all, none, or how many. */
    String points = NONE;

    String reason;
    String by;
    /** From when on, ms UTC. */
    long atMs;

    private HouseholdEvent() {}

    /** Whether {@code envelope} holds an event. Never throws. */
    public static boolean matches(byte[] envelope) {
        return read(envelope) != null;
    }

    /** Null where {@code envelope} holds anything else. Never throws. */
    static HouseholdEvent read(byte[] envelope) {
        return StrictJson.read(
                envelope,
                parser -> {
                    HouseholdEvent event = new HouseholdEvent();
                    event.fill(parser);
                    return event;
                });
    }

    private void fill(JsonParser parser) throws IOException {
        boolean schema = false;
        String kind = null;
        String moved = null;
        String name;
        while ((name = parser.nextFieldName()) != null) {
            JsonToken token = parser.nextToken();
            switch (name) {
                case "schema":
                    schema = CanonicalReceipt.whole(parser, 1, 1) == 1;
                    break;
                case "event_id":
                    id = StrictJson.text(parser, OWN);
                    break;
                case "kind":
                    kind = CanonicalReceipt.text(parser);
                    break;
                case "customer_id":
                    customer = StrictJson.text(parser, StrictJson.ID);
                    break;
                case "household_id":
                    household = Memberships.ACCOUNT + StrictJson.text(parser, OWN);
                    break;
                case "points":
                    moved =
                            token == JsonToken.VALUE_NUMBER_INT
                                    ? Long.toString(CanonicalReceipt.whole(parser, 1, MOST_POINTS))
                                    : CanonicalReceipt.text(parser);
                    CanonicalReceipt.expect(
                            token == JsonToken.VALUE_NUMBER_INT
                                    || moved.equals(ALL)
                                    || moved.equals(NONE));
                    break;
                case "reason":
                    reason = StrictJson.text(parser, CODE);
                    break;
                case "by":
                    by = StrictJson.text(parser, StrictJson.ID);
                    break;
                case "event_time_ms":
                    atMs = CanonicalReceipt.whole(parser, StrictJson.FROM_2015_MS, StrictJson.TO_2100_MS - 1);
                    break;
                default:
                    throw new IOException("unknown field");
            }
        }
        CanonicalReceipt.expect(schema && id != null && customer != null && household != null);
        CanonicalReceipt.expect(reason != null && by != null && atMs != 0);
        join = "join".equals(kind);
        CanonicalReceipt.expect(join ? ALL.equals(moved) || NONE.equals(moved) : "leave".equals(kind));
        CanonicalReceipt.expect(!customer.startsWith(Memberships.ACCOUNT));
        points = moved == null ? NONE : moved;
    }

    /** The same event: what its id stands for. */
    boolean same(HouseholdEvent other) {
        return line().equals(other.line());
    }

    /** Its texts hold no blanks. The customer is the key, so it is not in it. */
    String line() {
        String kind = join ? "join" : "leave";
        return String.join(" ", Long.toString(atMs), id, kind, household, points, reason, by);
    }

    static HouseholdEvent ofLine(String[] fields) {
        HouseholdEvent event = new HouseholdEvent();
        event.atMs = Long.parseLong(fields[0]);
        event.id = fields[1];
        event.join = fields[2].equals("join");
        event.household = fields[3];
        event.points = fields[4];
        event.reason = fields[5];
        event.by = fields[6];
        return event;
    }

    /** The adjustment that moves its points from one account to the other, by the contract loyalty_adjustment. */
    String transfer(String customer) {
        String from = join ? customer : household;
        String to = join ? household : customer;
        String some = points.equals(ALL) ? "" : ",\"points\":" + points;
        return "{\"schema\":1,\"adjustment_id\":\"" + Memberships.ACCOUNT + id
                + "\",\"kind\":\"transfer\",\"customer_id\":\"" + from + "\",\"to\":\"" + to
                + "\",\"reason\":\"" + reason + "\",\"by\":\"" + by
                + "\",\"event_time_ms\":" + atMs + some + "}";
    }
}
