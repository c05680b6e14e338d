#pragma once
#include "tensorflow/lite/micro/micro_interpreter.h"
namespace tflite {
// The methods are those of https://github.com/espressif/esp-tflite-micro, version 1.4.0.
template <unsigned int tOpCount>
class MicroMutableOpResolver final : public MicroOpResolver {
 public:
  const TFLMRegistration *FindOp(BuiltinOperator op) const override;
  TfLiteStatus AddAdd();
  TfLiteStatus AddConcatenation();
  TfLiteStatus AddConv2D();
  TfLiteStatus AddDepthwiseConv2D();
  TfLiteStatus AddDequantize();
  TfLiteStatus AddDiv();
  TfLiteStatus AddExp();
  TfLiteStatus AddFullyConnected();
  TfLiteStatus AddMean();
  TfLiteStatus AddMul();
  TfLiteStatus AddQuantize();
  TfLiteStatus AddRelu();
  TfLiteStatus AddReshape();
  TfLiteStatus AddRsqrt();
  TfLiteStatus AddSlice();
  TfLiteStatus AddSqrt();
  TfLiteStatus AddSquaredDifference();
  TfLiteStatus AddStridedSlice();
  TfLiteStatus AddSub();
  TfLiteStatus AddSum();
  TfLiteStatus AddTranspose();
  TfLiteStatus AddTransposeConv();
};
}  // namespace tflite
