package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Masks card numbers as {@code tillstream/domain/card_numbers.py} does, which says what is one. */
public final class CardNumbers {
    // Lists are matched possessively: a long one would need as deep a stack.
    private static final Pattern FIND =
            Pattern.compile(
                    "(\"(?!customer_id\")"
                            + "(?:(?:[a-z_]+_)?id|refers_to|reference|cause|origin|shelf|area|[a-z_]*key)\""
                            + "\\s*:\\s*\"[0-9A-Za-z][0-9A-Za-z:._/#~@-]*\""
                            + "|\"product\"\\s*:\\s*\"[0-9]{8,14}\""
                            + "|\"products\"\\s*:\\s*\\[\\s*\"[0-9]{8,14}\"(?:\\s*+,\\s*+\"[0-9]{8,14}+\")*+\\s*\\]"
                            + "|\"stores?\"\\s*:\\s*\"[0-9]{1,4}(?:[ ,;]++[0-9]{1,4}+)*+\""
                            + "|\"card_token\"\\s*:\\s*\"tok_[0-9a-z]{16,32}\""
                            + "|\"[a-z_]+_ms\"\\s*:\\s*(?:1[4-9]|2[0-9]|3[0-9]|40|41)[0-9]{11}(?![0-9]))"
                            + "|(?<![0-9])(?:[0-9]{13,19}"
                            + "|[0-9]{4}(?:[ -][0-9]{4}){2}[ -][0-9]{1,4}(?:[ -][0-9]{3})?"
                            + "|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})(?![0-9])");

    private CardNumbers() {}

    /** {@code raw} with every card number's digits but the last four as {@code *}. */
    public static byte[] mask(byte[] raw) {
        // A byte is a char here, so nothing is changed that is no number.
        String text = new String(raw, StandardCharsets.ISO_8859_1);
        Matcher found = FIND.matcher(text);
        String masked =
                found.replaceAll(
                        one -> Matcher.quoteReplacement(
                                one.group(1) == null ? mask(one.group()) : one.group()));
        return masked.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String mask(String found) {
        String digits = found.replaceAll("[ -]", "");
        boolean none =
                digits.charAt(0) == '0'
                        || digits.charAt(0) == '1' && digits.length() % 3 == 1; // 13, 16, 19
        if (none || digits.length() < 13 || digits.length() > 19 || !passesLuhn(digits)) {
            return found;
        }
        int keep = found.length() - 4;
        String tail = found.substring(keep);
        if (tail.contains("-") || tail.contains(" ")) {
            keep--; // a grouped number that ends in fewer than four digits
        }
        return found.substring(0, keep).replaceAll("[0-9]", "*") + found.substring(keep);
    }

    private static boolean passesLuhn(String digits) {
        int total = 0;
        for (int i = 0; i < digits.length(); i++) {
            int digit = digits.charAt(digits.length() - 1 - i) - '0';
            int counted = i % 2 == 0 ? digit : 2 * digit;
            total += counted > 9 ? counted - 9 : counted;
        }
        return total % 10 == 0;
    }
}
