package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Masks card numbers as {@code tillstream/domain/card_numbers.py} does, which says what is one. Its
 * patterns are written here again, part by part; a test holds the two together.
 */
public final class CardNumbers {
    private static final String D = "(?:[0-9]|\\\\u003[0-9])";
    private static final String SEPARATOR =
            "(?:[\\x01-\\x09\\x0b\\x0c\\x0e-\\x20._/+-]|\\xc2?[\\xa0\\xad]|\\xe2[\\x80\\x81][\\x80-\\xbf]"
                    + "|\\xe2\\x88\\x92|\\xe3\\x80\\x80|\\xef\\xbb\\xbf|\\xef\\xbc\\x8d|%20|&nbsp;|\\\\[t/]"
                    + "|\\\\u00(?:[2][0dDfF]|[aA][0dD])|\\\\u20[0-6][0-9a-fA-F]|\\\\u2212|\\\\u3000"
                    + "|\\\\u[fF][eE][fF][fF]){1,6}";
    private static final String BEGINS =
            "(?=[1-9\\\\])(?:(?<![0-9])|(?<=\\\\u[0-9a-fA-F]{4}))(?=" + D + "{4})";
    private static final String ENDS = "(?!" + D + ")";
    private static final String[] NAMES = {"solid", "fours", "fives", "others", "long"};
    private static final String CARD =
            BEGINS
                    + form("solid", "(?<![0-9]\\.)" + D + "{13,19}")
                    + form("fours", fours("a") + D + "{1,4}")
                    + form("fives", fours("b") + D + "{4}\\k<b>" + D + "{1,3}")
                    + form(
                            "others",
                            D + "{4}(?<c>" + SEPARATOR + ")(?:"
                                    + D + "{6}\\k<c>" + D + "{4,5}|"
                                    + D + "{5}\\k<c>" + D + "{6}|"
                                    + D + "{4}\\k<c>" + D + "{5})")
                    + form("long", D + "{6}" + SEPARATOR + D + "{13}");
    private static final String TEXT = "\\s*:\\s*(?:\\{\\s*\"[SN]\"\\s*:\\s*)?";
    private static final String NUMBER = "\\s*:\\s*(?:\\{\\s*\"N\"\\s*:\\s*\")?";
    private static final String PRODUCT = "\"?\\s*[0-9]{8,14}\\s*\"?(?![0-9])";
    // Lists are matched possessively: a long one would need as deep a stack.
    private static final String TYPED =
            "\"(?:(?:(?:last_)?transaction|document|promotion|request|order|offer|hold|route|update|line|count"
                    + "|entry|shortage|notice|dead_letter|fiscal|answer|adjustment|assortment|record|case|overlap)_id"
                    + "|refers_to|voids|receipt|reference|cause|origin|shelf|area|regional_alert|stock_key)\""
                    + TEXT + "\"[0-9A-Za-z][0-9A-Za-z:._/#~@-]*+\""
                    + "|\"(?:product|code)\"" + TEXT + PRODUCT
                    + "|\"open_orders\"" + TEXT + "\"[0-9:;,-]*+\""
                    + "|\"stores\"\\s*:\\s*\"[0-9]{1,4}(?:[ ,;]++[0-9]{1,4}+)*+\""
                    + "|\"card_token\"" + TEXT + "\"tok_[0-9a-z]{16,32}\""
                    + "|\"[a-z_]+_ms\"" + NUMBER + "(?:1[4-9]|2[0-9]|3[0-9]|40|41)[0-9]{11}(?![0-9])"
                    + "|\"products\"\\s*:\\s*\\[(?<products>[^\\]]*+)";
    private static final Pattern UNTYPED = Pattern.compile(TYPED + "|" + CARD);
    private static final Pattern UNLISTED = Pattern.compile(PRODUCT + "|" + CARD);
    private static final Pattern DIGITS = Pattern.compile(SEPARATOR + "|(" + D + ")");

    private static final Pattern FREE = Pattern.compile(CARD);

    /** Gets places of what is to be masked, some more than once. */
    interface Spans {
        void add(int start, int end);
    }

    private CardNumbers() {}

    /** {@code raw} with every card number's digits but the last four as {@code *}. */
    public static byte[] mask(byte[] raw) {
        return mask(raw, CardNumbers::find);
    }

    /** {@code raw} with {@code *} for what is found; zeros are not seen, for UTF-16 has such. */
    static byte[] mask(byte[] raw, BiConsumer<String, Spans> find) {
        int[] places = new int[raw.length]; // of the bytes that are not 0
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
        find.accept(
                new String(full, 0, count, StandardCharsets.ISO_8859_1),
                (start, end) -> {
                    for (int i = start; i < end; i++) {
                        masked[places[i]] = '*';
                    }
                });
        return masked;
    }

    static void find(String text, Spans to) {
        Matcher found = UNTYPED.matcher(text);
        while (found.find()) {
            String listed = found.group("products");
            if (listed == null) {
                find(found, 0, to);
                continue;
            }
            Matcher one = UNLISTED.matcher(listed);
            while (one.find()) {
                find(one, found.start("products"), to);
            }
        }
        Digits folded = Digits.fold(text);
        if (folded == null) {
            return;
        }
        // No typed field has other digits than ASCII's.
        Matcher other = FREE.matcher(folded.text);
        while (other.find()) {
            for (String name : NAMES) {
                List<int[]> digits = digits(other, name);
                if (!digits.isEmpty() && folded.hasOther(digits.get(0)[0], last(digits)[1])) {
                    for (int[] digit : digits.subList(0, digits.size() - 4)) {
                        to.add(folded.before(digit[0]), folded.before(digit[1]));
                    }
                }
            }
        }
    }

    private static int[] last(List<int[]> digits) {
        return digits.get(digits.size() - 1);
    }

    /** For each form in which a card number begins here. */
    private static void find(Matcher found, int start, Spans to) {
        for (String name : NAMES) {
            List<int[]> digits = digits(found, name);
            for (int[] digit : digits.subList(0, Math.max(digits.size() - 4, 0))) {
                to.add(start + digit[0], start + digit[1]);
            }
        }
    }

    /** Places of the digits of a card number of this form; none if it is none. */
    private static List<int[]> digits(Matcher found, String name) {
        String text = found.group(name);
        if (text == null) {
            return List.of();
        }
        List<int[]> digits = new ArrayList<>();
        StringBuilder number = new StringBuilder();
        int at = found.start(name);
        for (Matcher digit = DIGITS.matcher(text); digit.find(); ) {
            if (digit.group(1) != null) {
                digits.add(new int[] {at + digit.start(), at + digit.end()});
                number.append(text.charAt(digit.end() - 1));
            }
        }
        return isCardNumber(number) ? digits : List.of();
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

    private static String form(String name, String pattern) {
        return "(?=(?<" + name + ">" + pattern + ENDS + ")?)";
    }

    private static String fours(String gap) {
        String next = D + "{4}\\k<" + gap + ">";
        return D + "{4}(?<" + gap + ">" + SEPARATOR + ")" + next + next;
    }
}
