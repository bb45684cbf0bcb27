package io.tillstream.flink;

import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Digits of any script as ASCII has them, like {@code tillstream/domain/personal/digits.py}. */
final class Digits {
    private static final String ZEROS =
            "660 6F0 7C0 966 9E6 A66 AE6 B66 BE6 C66 CE6 D66 DE6 E50 ED0 F20 1040 1090 17E0 "
                    + "1810 1946 19D0 1A80 1A90 1B50 1BB0 1C40 1C50 A620 A8D0 A900 A9D0 A9F0 AA50 ABF0 "
                    + "FF10 104A0 10D30 11066 110F0 11136 111D0 112F0 11450 114D0 11650 116C0 11730 "
                    + "118E0 11950 11C50 11D50 11DA0 16A60 16AC0 16B50 1D7CE 1D7D8 1D7E2 1D7EC 1D7F6 "
                    + "1E140 1E2F0 1E950 1FBF0";
    private static final String OTHERS =
            "B2=2 B3=3 B9=1 2070=0 2074=4 2075=5 2076=6 2077=7 2078=8 2079=9 2080=0 2081=1 "
                    + "2082=2 2083=3 2084=4 2085=5 2086=6 2087=7 2088=8 2089=9 2460=1 2461=2 2462=3 "
                    + "2463=4 2464=5 2465=6 2466=7 2467=8 2468=9 24EA=0";
    private static final Map<Integer, Character> OF_CODE = new HashMap<>();

    static {
        for (String zero : ZEROS.split(" ")) {
            for (int n = 0; n < 10; n++) {
                OF_CODE.put(Integer.parseInt(zero, 16) + n, (char) ('0' + n));
            }
        }
        for (String other : OTHERS.split(" ")) {
            String[] parts = other.split("=");
            OF_CODE.put(Integer.parseInt(parts[0], 16), parts[1].charAt(0));
        }
    }

    // Any sign of two to four bytes of UTF-8 that may be one, a digit of UTF-16 without its zeros, an escape.
    private static final Pattern MAYBE =
            Pattern.compile(
                    "[\\xc2\\xd9\\xdb\\xdf][\\x80-\\xbf]|[\\xe0-\\xef][\\x80-\\xbf]{2}"
                            + "|\\xf0[\\x80-\\xbf]{3}|\\xff[\\x10-\\x19]|[\\x10-\\x19]\\xff"
                            + "|\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}"
                            + "|\\\\u[0-9a-fA-F]{4}");

    final String text;
    private final int[] before; // place in `text` -> in what was folded; one more for its end
    private final int[] others; // place in `text` -> how many digits before it were others

    private Digits(String text, int[] before, int[] others) {
        this.text = text;
        this.before = before;
        this.others = others;
    }

    /** Of bytes as chars; null if there are no other digits, as in nearly all. */
    static Digits fold(String raw) {
        if (!maybe(raw)) {
            return null;
        }
        StringBuilder text = new StringBuilder(raw.length());
        int[] before = new int[raw.length() + 1];
        int[] others = new int[raw.length() + 1];
        int count = 0;
        int at = 0;
        Matcher found = MAYBE.matcher(raw);
        while (found.find()) {
            Character digit = digit(raw, found.start(), found.end());
            if (digit == null) {
                continue;
            }
            for (; at < found.start(); at++) {
                note(text, before, others, at, count);
                text.append(raw.charAt(at));
            }
            note(text, before, others, at, count++);
            text.append(digit);
            at = found.end();
        }
        if (count == 0) {
            return null;
        }
        for (; at < raw.length(); at++) {
            note(text, before, others, at, count);
            text.append(raw.charAt(at));
        }
        note(text, before, others, at, count);
        return new Digits(text.toString(), before, others);
    }

    private static void note(StringBuilder text, int[] before, int[] others, int at, int count) {
        before[text.length()] = at;
        others[text.length()] = count;
    }

    private static boolean maybe(String raw) {
        for (int i = 0; i < raw.length(); i++) {
            if (raw.charAt(i) > 0x7f) {
                return true;
            }
        }
        return raw.contains("\\u");
    }

    private static Character digit(String raw, int start, int end) {
        char first = raw.charAt(start);
        if (first == '\\') {
            int escaped = Integer.parseInt(raw.substring(start + 2, start + 6), 16);
            return OF_CODE.get(
                    end - start == 6
                            ? escaped
                            : Character.toCodePoint(
                                    (char) escaped,
                                    (char) Integer.parseInt(raw.substring(start + 8, end), 16)));
        }
        if (end - start == 2 && (first == 0xff || raw.charAt(start + 1) == 0xff)) {
            return (char) ('0' - 0x10 + (first == 0xff ? raw.charAt(start + 1) : first));
        }
        int code = first & (end - start == 2 ? 0x1f : end - start == 3 ? 0x0f : 0x07);
        for (int i = start + 1; i < end; i++) {
            code = code << 6 | raw.charAt(i) & 0x3f;
        }
        return OF_CODE.get(code);
    }

    /** Whether one of the digits within was another. */
    boolean hasOther(int start, int end) {
        return others[start] != others[end];
    }

    /** The same place in what was folded. */
    int before(int place) {
        return before[place];
    }
}
