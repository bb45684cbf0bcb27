package io.tillstream.flink;

/** {@code printed} of {@code tillstream/domain/receipt/product.py}; a test holds the two together. */
public final class Products {
    private static final int[] GTIN_LENGTHS = {8, 12, 13, 14};
    private static final String OWN_CODE = "sku-";

    private Products() {}

    /** A canonical product as stock and sales know it. */
    public static String printed(String code) {
        if (code.length() == 14 && allDigits(code)) {
            int zeros = 0;
            while (zeros < 14 && code.charAt(zeros) == '0') {
                zeros++;
            }
            int shortest = 0;
            while (GTIN_LENGTHS[shortest] < 14 - zeros) {
                shortest++;
            }
            return code.substring(14 - GTIN_LENGTHS[shortest]);
        }
        if (code.startsWith(OWN_CODE)) {
            String digits = code.substring(OWN_CODE.length());
            int length = digits.length();
            if (length >= 8 && length <= 14 && allDigits(digits) && !isGtin(digits)) {
                return digits;
            }
        }
        return code;
    }

    private static boolean isGtin(String digits) {
        boolean known = false;
        for (int length : GTIN_LENGTHS) {
            known |= length == digits.length();
        }
        int sum = 0;
        int last = digits.length() - 1;
        for (int i = last; i >= 0; i--) {
            sum += (digits.charAt(i) - '0') * ((last - i) % 2 == 0 ? 1 : 3);
        }
        return known && sum % 10 == 0;
    }

    private static boolean allDigits(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) < '0' || text.charAt(i) > '9') {
                return false;
            }
        }
        return true;
    }
}
