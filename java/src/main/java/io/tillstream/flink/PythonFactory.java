package io.tillstream.flink;

import org.apache.flink.streaming.api.operators.OneInputStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.SimpleOperatorFactory;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.python.embedded.AbstractEmbeddedPythonFunctionOperator;
import pemja.core.PythonInterpreter;

/**
 * Makes a Python operator where it runs, once {@link OnePemja} has seen the JVM. PyFlink finds the operator
 * in it as in one of Flink's own factories.
 */
final class PythonFactory<A, B, T> extends SimpleOperatorFactory<T>
        implements OneInputStreamOperatorFactory<A, T>, TwoInputStreamOperatorFactory<A, B, T> {
    private static final long serialVersionUID = 1L;

    PythonFactory(StreamOperator<T> operator) {
        super(operator);
    }

    @Override
    public <O extends StreamOperator<T>> O createStreamOperator(
            StreamOperatorParameters<T> parameters) {
        if (getOperator() instanceof AbstractEmbeddedPythonFunctionOperator) {
            OnePemja.see(
                    PythonInterpreter.class.getClassLoader(), parameters.getContainingTask());
        }
        return super.createStreamOperator(parameters);
    }
}
