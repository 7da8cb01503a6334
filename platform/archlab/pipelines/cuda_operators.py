"""Operators that ONNX Runtime's CUDA execution provider has a kernel for.

Source: ONNX Runtime's docs/OperatorKernels.md, section "Operators implemented by CUDAExecutionProvider", domain
ai.onnx, float32, as of opset 18 (commit 001d12d). The domain ai.onnx.ml, where tree ensembles, scalers, imputers and
linear classifiers live, has no row there: those always run on the CPU.
"""

from __future__ import annotations

_NAMES = """
    Abs Add Affine And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Compress Concat
    ConcatFromSequence ConstantOfShape Conv ConvTranspose Cos Crop CumSum DepthToSpace DequantizeLinear Div Dropout
    DynamicSlice Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid HardSwish Identity If ImageScaler
    InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
    MatMul MatMulInteger Max MaxPool Min Mod Mul Neg NonZero Not OneHot Or PRelu Pad ParametricSoftplus Pow
    QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1
    ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu
    Reshape Resize ReverseSequence RoiAlign Round ScaledTanh Scan ScatterElements ScatterND Selu SequenceAt
    SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Shrink Sigmoid Sign
    SimplifiedLayerNormalization Sin Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum
    Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor
"""

CUDA_OPERATORS = frozenset(_NAMES.split())


def has_kernel(domain: str, operator: str) -> bool:
    """Whether a node could run on a CUDA device."""
    return domain in ("", "ai.onnx") and operator in CUDA_OPERATORS
