package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Masks card numbers as {@code tillstream/domain/card_numbers.py} does, which says what is one. */
public final class CardNumbers {
    private static final String SEPARATOR =
            "(?:[ \\t._/-]|\u00c2?\u00a0|\u00e2\u0080[\u0080-\u00af]"
                    + "|\\\\t|\\\\u00[aA]0|\\\\u20[0-2][0-9a-fA-F]){1,3}+";
    private static final String TEXT = "\\s*:\\s*(?:\\{\\s*\"S\"\\s*:\\s*)?";
    private static final String NUMBER = "\\s*:\\s*(?:\\{\\s*\"N\"\\s*:\\s*\")?";
    // Lists are matched possessively: a long one would need as deep a stack.
    private static final Pattern FIND =
            Pattern.compile(
                    "\"(?!customer_id\")"
                            + "(?:(?:[a-z_]+_)?id|refers_to|reference|cause|origin|shelf|area|[a-z_]*key)\""
                            + TEXT
                            + "\"[0-9A-Za-z][0-9A-Za-z:._/#~@-]*+\""
                            + "|\"product\""
                            + TEXT
                            + "\"[0-9]{8,14}\""
                            + "|\"products\"\\s*:\\s*\\[\\s*\"[0-9]{8,14}\"(?:\\s*+,\\s*+\"[0-9]{8,14}+\")*+\\s*\\]"
                            + "|\"stores\"\\s*:\\s*\"[0-9]{1,4}(?:[ ,;]++[0-9]{1,4}+)*+\""
                            + "|\"card_token\""
                            + TEXT
                            + "\"tok_[0-9a-z]{16,32}\""
                            + "|\"[a-z_]+_ms\""
                            + NUMBER
                            + "(?:1[4-9]|2[0-9]|3[0-9]|40|41)[0-9]{11}(?![0-9])"
                            + "|([0-9]++(?:"
                            + SEPARATOR
                            + "[0-9]++)*+)");
    private static final Pattern GROUP = Pattern.compile(SEPARATOR + "|([0-9]+)");
    private static final Set<List<Integer>> GROUPED =
            Set.of(
                    List.of(4, 6, 4), List.of(4, 6, 5),
                    List.of(4, 4, 4, 1), List.of(4, 4, 4, 2), List.of(4, 4, 4, 3), List.of(4, 4, 4, 4),
                    List.of(4, 4, 4, 4, 1), List.of(4, 4, 4, 4, 2), List.of(4, 4, 4, 4, 3));
    private static final int MOST_GROUPS = 5;

    private CardNumbers() {}

    /** {@code raw} with every card number's digits but the last four as {@code *}. */
    public static byte[] mask(byte[] raw) {
        int[] places = new int[raw.length]; // of the bytes that are not 0: UTF-16 has such
        byte[] full = new byte[raw.length];
        int count = 0;
        for (int i = 0; i < raw.length; i++) {
            if (raw[i] != 0) {
                places[count] = i;
                full[count++] = raw[i];
            }
        }
        byte[] masked = raw.clone();
        // A byte is a char here, so nothing is changed that is no number.
        Matcher run = FIND.matcher(new String(full, 0, count, StandardCharsets.ISO_8859_1));
        while (run.find()) {
            if (run.group(1) != null) {
                mask(run.group(1), run.start(), places, masked);
            }
        }
        return masked;
    }

    private static void mask(String run, int start, int[] places, byte[] masked) {
        List<MatchResult> groups = new ArrayList<>();
        GROUP.matcher(run).results().filter(one -> one.group(1) != null).forEach(groups::add);
        for (int first = 0; first < groups.size(); first++) {
            int most = Math.min(first + MOST_GROUPS, groups.size());
            List<Integer> lengths = new ArrayList<>();
            StringBuilder digits = new StringBuilder();
            List<Integer> at = new ArrayList<>();
            for (int end = first; end < most; end++) {
                MatchResult group = groups.get(end);
                int length = group.end() - group.start();
                if (digits.length() + length > 19) {
                    break;
                }
                lengths.add(length);
                digits.append(group.group());
                for (int i = group.start(); i < group.end(); i++) {
                    at.add(places[start + i]);
                }
                boolean one = lengths.size() == 1 && length >= 13;
                if ((one || GROUPED.contains(lengths)) && isCardNumber(digits)) {
                    at.subList(0, at.size() - 4).forEach(place -> masked[place] = '*');
                }
            }
        }
    }

    private static boolean isCardNumber(CharSequence digits) {
        char begins = digits.charAt(0);
        boolean time = begins == '1' && digits.length() % 3 == 1; // of 13, 16, 19 digits
        return begins != '0' && !time && passesLuhn(digits);
    }

    private static boolean passesLuhn(CharSequence digits) {
        int total = 0;
        for (int i = 0; i < digits.length(); i++) {
            int digit = digits.charAt(digits.length() - 1 - i) - '0';
            int counted = i % 2 == 0 ? digit : 2 * digit;
            total += counted > 9 ? counted - 9 : counted;
        }
        return total % 10 == 0;
    }
}
