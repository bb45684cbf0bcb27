package io.tillstream.flink;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Masks card numbers, e-mail addresses and international telephone numbers as {@code
 * tillstream/domain/personal/personal_data.py} does, which says what is one; a test compares both.
 */
public final class PersonalData {
    private static final String AT =
            "(?:@|\\\\u0040|%40|&#64;|\\xef\\xbc\\xa0|\\xef\\xb9\\xab|\\\\u[fF][fF]20)";
    private static final String LOCAL = "0-9A-Za-z._%+'\\x80-\\xf4-";
    private static final Pattern ESCAPE = Pattern.compile("\\\\u[0-9a-fA-F]{4}");
    private static final String LABEL =
            "(?:[0-9A-Za-z\\x80-\\xf4-]|\\\\u(?!002[eE]|0040|[fF][fF]20)[0-9a-fA-F]{4})"
                    + "{1,63}";
    private static final Pattern FROM_AT =
            Pattern.compile(
                    "(?<=[" + LOCAL + "])" + AT + "(?:" + LABEL + "(?:\\.|\\\\u002[eE])){1,8}"
                            + "[A-Za-z\\x80-\\xf4]{2,24}");
    private static final boolean[] IS_LOCAL = new boolean[256];
    private static final int MOST_LOCAL = 64;

    static {
        Pattern local = Pattern.compile("[" + LOCAL + "]");
        for (int i = 0; i < IS_LOCAL.length; i++) {
            IS_LOCAL[i] = local.matcher(String.valueOf((char) i)).matches();
        }
    }

    private static final Pattern HAS_AT = Pattern.compile(AT);
    private static final String PLUS =
            "(?:\\+|\\\\u002[bB]|%2[bB]|&#43;|\\xef\\xbc\\x8b|\\\\u[fF][fF]0[bB])";
    private static final String D = "(?:[0-9]|\\\\u003[0-9])";
    private static final String GAP =
            "(?:[ ()/-]|\\xc2?[\\xa0\\xad]|\\xe2[\\x80\\x81][\\x80-\\xbf]|\\xe2\\x88\\x92|%20|&nbsp;|\\\\/"
                    + "|\\\\u00[aA][0dD]|\\\\u20[0-6][0-9a-fA-F]|\\\\u2212){0,3}";
    private static final String DATE =
            "(?:(?:19|20)[0-9]{2}[./-](?:0[1-9]|1[0-2])[./-][0-3][0-9]"
                    + "|[0-3][0-9][./-](?:0[1-9]|1[0-2])[./-](?:19|20)[0-9]{2})";
    private static final Pattern HAS_PLUS = Pattern.compile(PLUS);
    private static final Pattern INTERNATIONAL =
            Pattern.compile(
                    "(?<![0-9])" + PLUS + GAP + "(?![0-9]{1,7} {1,3}" + DATE + "(?![0-9]))(?:(?=[1-9\\\\])" + D + "(?:" + GAP + D + "){7,14}"
                            + "|(?![0-9]{1,3}(?:\\.[0-9]{3})+(?![0-9.]))[1-9][0-9]{0,3}(?=[0-9.]{8,18})"
                            + "(?:\\.[0-9]{2,4}){2,5})(?![0-9])");

    private PersonalData() {}

    /** {@code raw} with {@code *} for each of them, but a card's last four digits; the length stays. */
    public static byte[] mask(byte[] raw) {
        return CardNumbers.mask(raw, PersonalData::find);
    }

    private static void find(String text, CardNumbers.Spans to) {
        CardNumbers.find(text, to);
        ofPeople(text, to);
        Digits folded = HAS_PLUS.matcher(text).find() ? Digits.fold(text) : null;
        if (folded != null) {
            ofPeople(
                    folded.text,
                    (start, end) -> {
                        if (folded.hasOther(start, end)) {
                            to.add(folded.before(start), folded.before(end));
                        }
                    });
        }
    }

    private static void ofPeople(String text, CardNumbers.Spans to) {
        if (HAS_AT.matcher(text).find()) {
            for (Matcher found = FROM_AT.matcher(text); found.find(); ) {
                int start = begins(text, found.start());
                int end = found.end();
                while (end < text.length() && isContinued(text.charAt(end))) {
                    end++;
                }
                if (start < found.start()) {
                    to.add(start, end);
                }
            }
        }
        if (HAS_PLUS.matcher(text).find()) {
            for (Matcher found = INTERNATIONAL.matcher(text); found.find(); ) {
                to.add(found.start(), found.end());
            }
        }
    }

    private static int begins(String text, int at) {
        int start = at;
        Matcher escape = ESCAPE.matcher(text);
        for (int i = 0; i < MOST_LOCAL; i++) {
            if (start >= 6
                    && escape.region(start - 6, start).matches()
                    && escapes(text, start - 6)) {
                start -= 6;
            } else if (start > 0 && IS_LOCAL[text.charAt(start - 1)]) {
                start--;
            } else {
                break;
            }
        }
        while (start < at && isContinued(text.charAt(start))) {
            start++;
        }
        if (start > 0
                && start < at
                && "bfnrt".indexOf(text.charAt(start)) >= 0
                && escapes(text, start - 1)) {
            start++;
        }
        return start;
    }

    /** Of UTF-8, not the first byte of a sign. */
    private static boolean isContinued(char value) {
        return value >= 0x80 && value < 0xc0;
    }

    /** Whether there is a backslash that is not escaped itself. */
    private static boolean escapes(String text, int slash) {
        int begins = slash + 1;
        while (begins > 0 && text.charAt(begins - 1) == '\\') {
            begins--;
        }
        return (slash + 1 - begins) % 2 == 1;
    }
}
