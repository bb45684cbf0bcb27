package io.tillstream.flink;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;

/**
 * What DynamoDB refuses for ever, found before it does: Amazon's limits of keys, numbers and items.
 * Items hold texts and numbers only, so that nothing is nested.
 */
final class HotItemLimits {
    private static final int ITEM_BYTES = 400 * 1024;
    private static final int PARTITION_KEY_BYTES = 2048;
    private static final int SORT_KEY_BYTES = 1024;
    private static final int DIGITS = 38;
    private static final int LEAST_EXPONENT = -130;
    private static final int LARGEST_EXPONENT = 125;
    /** As many digits are always a number that fits, also one of the engine's whole numbers. */
    private static final int SURELY = 18;
    private static final int NUMBER_BYTES = 21;
    private static final int LONGEST_NUMBER = 200;

    private HotItemLimits() {}

    /** {@code jsonBytes}: of the record, which are never fewer than those of its texts. */
    static void check(HotItemSink sink, String[] values, int jsonBytes) throws HotItemRefusal {
        long names = 0;
        for (int i = 0; i < values.length; i++) {
            HotItemSink.Attribute attribute = sink.attributes.get(i);
            String value = values[i] == HotItem.REMOVED ? null : values[i];
            names += attribute.name.length();
            if (value == null && i != sink.keyPosition && i != sink.versionPosition
                    && attribute.key != HotItemSink.Key.TABLE_PARTITION
                    && attribute.key != HotItemSink.Key.TABLE_SORT) {
                continue;
            }
            if (value == null) {
                throw new HotItemRefusal("missing_field", attribute.field + " is required");
            }
            if (attribute.number) {
                checkNumber(attribute.field, value, i == sink.versionPosition);
            } else if (attribute.key != HotItemSink.Key.NONE || i == sink.keyPosition) {
                checkKey(attribute, value);
            }
        }
        if (jsonBytes + names > ITEM_BYTES && size(sink, values) > ITEM_BYTES) {
            throw new HotItemRefusal(
                    "item_too_large", "an item of more than " + ITEM_BYTES + " bytes");
        }
    }

    private static void checkKey(HotItemSink.Attribute attribute, String value)
            throws HotItemRefusal {
        boolean sort =
                attribute.key == HotItemSink.Key.TABLE_SORT
                        || attribute.key == HotItemSink.Key.INDEX_SORT;
        int most = sort ? SORT_KEY_BYTES : PARTITION_KEY_BYTES;
        if (value.isEmpty()) {
            throw new HotItemRefusal("bad_key", attribute.field + " is empty");
        }
        // A char is at most three bytes.
        if (value.length() > most / 3 && bytes(value) > most) {
            throw new HotItemRefusal(
                    "bad_key", attribute.field + " is longer than " + most + " bytes");
        }
    }

    private static void checkNumber(String field, String value, boolean whole)
            throws HotItemRefusal {
        if (value.length() <= SURELY && isDigits(value)) {
            return;
        }
        try {
            if (whole) {
                Long.parseLong(value);
                return;
            }
            if (value.length() <= LONGEST_NUMBER) {
                BigDecimal number = new BigDecimal(value).stripTrailingZeros();
                long exponent = (long) number.precision() - number.scale() - 1;
                if (number.signum() == 0
                        || number.precision() <= DIGITS
                                && exponent >= LEAST_EXPONENT
                                && exponent <= LARGEST_EXPONENT) {
                    return;
                }
            }
        } catch (NumberFormatException noNumber) {
            // said below
        }
        throw new HotItemRefusal("bad_number", field + " is no number that DynamoDB keeps");
    }

    private static boolean isDigits(String value) {
        int start = value.startsWith("-") ? 1 : 0;
        for (int i = start; i < value.length(); i++) {
            if (value.charAt(i) < '0' || value.charAt(i) > '9') {
                return false;
            }
        }
        return value.length() > start;
    }

    private static long size(HotItemSink sink, String[] values) {
        long size = 0;
        for (int i = 0; i < values.length; i++) {
            if (values[i] != null && values[i] != HotItem.REMOVED) {
                HotItemSink.Attribute attribute = sink.attributes.get(i);
                size += bytes(attribute.name);
                size += attribute.number ? NUMBER_BYTES : bytes(values[i]);
            }
        }
        return size;
    }

    private static int bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }
}
