package io.tillstream.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * A till transaction of contract version 1, checked whole in one pass of a streaming parser.
 *
 * <p>It must accept exactly what {@code tillstream/domain/transaction.py} accepts: where the two
 * disagree, stock moves for a transaction that other jobs refuse. A test holds the two together over
 * every example and every planted fault. Why a record was refused is said by the Python side, which
 * gets the refused ones.
 */
final class TillReceipt {
    private static final int ABSENT = 0;
    private static final int GOOD = 1;
    private static final int BAD = 2;
    private static final int MOST_LINES = 500;

    /** One product of the basket. */
    static final class Line {
        String product;
        long quantity;
        long unitPriceCents;
    }

    String transactionId;
    String kind;
    String region;
    int store;
    long eventTimeMs;
    final List<Line> lines = new ArrayList<>();

    private String token;
    private String refersTo;
    private String payment;
    private long totalCents;
    private long points;
    // one state for each field of the contract
    private final int[] seen = new int[FIELDS.length];

    private static final String[] FIELDS = {
        "schema", "transaction_id", "store", "region", "till", "payment_method", "event_time_ms",
        "currency", "lines", "total_cents", "kind", "customer_id", "card_token", "refers_to",
        "points_to_redeem"
    };
    private static final int REQUIRED = 11;
    private static final int CUSTOMER = 11;

    private TillReceipt() {}

    /** The transaction in {@code payload}, or null if it is none of the contract. Never throws. */
    static TillReceipt read(byte[] payload) {
        if (!plainUtf8Object(payload)) {
            return null;
        }
        // Input is whatever a till sent: any failure of the parser means only "not a transaction".
        try (JsonParser parser = TopLevelField.JSON.createParser(payload)) {
            TillReceipt receipt = new TillReceipt();
            return receipt.fill(parser) && receipt.consistent() ? receipt : null;
        } catch (IOException | RuntimeException notJson) {
            return null;
        }
    }

    /** The parser would take UTF-16, UTF-32 and a byte order mark too, which the contract does not. */
    private static boolean plainUtf8Object(byte[] payload) {
        for (int i = 0; i < payload.length; i++) {
            byte b = payload[i];
            if (b == '{') {
                return i + 1 < payload.length && payload[i + 1] != 0;
            }
            if (b != ' ' && b != '\n' && b != '\r' && b != '\t') {
                return false;
            }
        }
        return false;
    }

    private boolean fill(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            return false;
        }
        String name;
        while ((name = parser.nextFieldName()) != null) {
            int field = indexOf(name);
            if (field < 0 || seen[field] != ABSENT) {
                return false;
            }
            parser.nextToken();
            seen[field] = take(field, parser) ? GOOD : BAD;
            parser.skipChildren();
        }
        return parser.currentToken() == JsonToken.END_OBJECT && parser.nextToken() == null;
    }

    private static int indexOf(String name) {
        for (int i = 0; i < FIELDS.length; i++) {
            if (FIELDS[i].equals(name)) {
                return i;
            }
        }
        return -1;
    }

    private boolean take(int field, JsonParser parser) throws IOException {
        switch (field) {
            case 0:
                return whole(parser, 1, 1);
            case 1:
                return isId(transactionId = text(parser));
            case 2:
                return whole(parser, 1, 2900) && (store = parser.getIntValue()) > 0;
            case 3:
                return isSlug(region = text(parser));
            case 4:
                return whole(parser, 1, 99);
            case 5:
                payment = text(parser);
                return isOneOf(payment, "card", "cash", "mobile", "gift_card", "eft");
            case 6:
                if (!whole(parser, 1_420_070_400_000L, 4_133_980_800_000L - 1)) {
                    return false;
                }
                eventTimeMs = parser.getLongValue();
                return true;
            case 7:
                return isCurrency(text(parser));
            case 8:
                return lines(parser);
            case 9:
                if (!whole(parser, 0, (1L << 53) - 1)) {
                    return false;
                }
                totalCents = parser.getLongValue();
                return true;
            case 10:
                return isOneOf(kind = text(parser), "sale", "refund", "void");
            case 11:
                return isCustomer(text(parser));
            case 12:
                return isToken(token = text(parser));
            case 13:
                return isId(refersTo = text(parser));
            default:
                if (!whole(parser, 0, 1_000_000_000)) {
                    return false;
                }
                points = parser.getLongValue();
                return true;
        }
    }

    private boolean consistent() {
        for (int i = 0; i < FIELDS.length; i++) {
            if (seen[i] == BAD || (i < REQUIRED && seen[i] == ABSENT)) {
                return false;
            }
        }
        long total = 0;
        for (Line line : lines) {
            total += line.quantity * line.unitPriceCents;
        }
        boolean sale = kind.equals("sale");
        return total == totalCents
                && (sale ? refersTo == null : refersTo != null && !refersTo.equals(transactionId))
                && (points == 0 || sale && seen[CUSTOMER] == GOOD)
                && (token != null) == payment.equals("card");
    }

    private boolean lines(JsonParser parser) throws IOException {
        lines.clear();
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            return false;
        }
        boolean good = true;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            Line line = good && lines.size() < MOST_LINES ? line(parser) : null;
            good = line != null;
            if (good) {
                lines.add(line);
            } else {
                skip(parser);
            }
        }
        return good && !lines.isEmpty();
    }

    /** One line, or null and the parser somewhere within it. */
    private static Line line(JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            return null;
        }
        Line line = new Line();
        int have = 0;
        boolean[] bad = new boolean[4];
        String name;
        while ((name = parser.nextFieldName()) != null) {
            parser.nextToken();
            int field;
            boolean good;
            switch (name) {
                case "product":
                    field = 0;
                    good = isProduct(line.product = text(parser));
                    break;
                case "quantity":
                    field = 1;
                    good = whole(parser, 1, 9999);
                    line.quantity = good ? parser.getIntValue() : 0;
                    break;
                case "unit_price_cents":
                    field = 2;
                    good = whole(parser, 0, 100_000_000);
                    line.unitPriceCents = good ? parser.getIntValue() : 0;
                    break;
                case "category":
                    field = 3;
                    good = isSlug(text(parser));
                    break;
                default:
                    throw new IOException("a field that the contract does not have");
            }
            if ((have & 1 << field) != 0) {
                throw new IOException("a field twice");
            }
            bad[field] = !good;
            have |= 1 << field;
            parser.skipChildren();
        }
        return have == 15 && !(bad[0] || bad[1] || bad[2] || bad[3]) ? line : null;
    }

    /** Past what is left of an element that turned out wrong. */
    private static void skip(JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.END_OBJECT) {
            parser.skipChildren();
        }
    }

    private static boolean whole(JsonParser parser, long least, long most) throws IOException {
        if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT
                || parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
            return false;
        }
        long value = parser.getLongValue();
        return value >= least && value <= most;
    }

    private static String text(JsonParser parser) throws IOException {
        return parser.currentToken() == JsonToken.VALUE_STRING ? parser.getText() : "";
    }

    private static boolean isOneOf(String text, String... allowed) {
        for (String one : allowed) {
            if (one.equals(text)) {
                return true;
            }
        }
        return false;
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    private static boolean isLower(char c) {
        return c >= 'a' && c <= 'z';
    }

    private static boolean isUpper(char c) {
        return c >= 'A' && c <= 'Z';
    }

    private static boolean isId(String text) {
        int length = text.length();
        if (length < 8 || length > 40 || text.charAt(0) == '-') {
            return false;
        }
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (!isDigit(c) && !isLower(c) && !isUpper(c) && c != '-') {
                return false;
            }
        }
        return true;
    }

    private static boolean isSlug(String text) {
        int length = text.length();
        if (length < 2 || length > 32 || text.charAt(0) == '-') {
            return false;
        }
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (!isLower(c) && c != '-') {
                return false;
            }
        }
        return true;
    }

    private static boolean isProduct(String text) {
        return text.length() >= 8 && text.length() <= 14 && allDigits(text, 0);
    }

    private static boolean isCustomer(String text) {
        return text.length() == 11 && text.charAt(0) == 'C' && allDigits(text, 1);
    }

    private static boolean isCurrency(String text) {
        return text.length() == 3
                && isUpper(text.charAt(0)) && isUpper(text.charAt(1)) && isUpper(text.charAt(2));
    }

    private static boolean isToken(String text) {
        int length = text.length();
        if (length < 20 || length > 36 || !text.startsWith("tok_")) {
            return false;
        }
        for (int i = 4; i < length; i++) {
            char c = text.charAt(i);
            if (!isDigit(c) && !isLower(c)) {
                return false;
            }
        }
        return true;
    }

    private static boolean allDigits(String text, int from) {
        for (int i = from; i < text.length(); i++) {
            if (!isDigit(text.charAt(i))) {
                return false;
            }
        }
        return true;
    }
}
