#include "gyrovae_tflm/interpreter.h"

#include <new>

#include "gyrovae_tflm/operators.h"
#include "sdkconfig.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/schema/schema_utils.h"

namespace gyrovae::tflm {

namespace {

constexpr size_t kArenaBytes = CONFIG_GYROVAE_ARENA_KIB * 1024;
constexpr int32_t kInputShape[] = {2, kBands, kCells, kAxes};
constexpr int32_t kOutputShape[] = {1, kBands, kCells, kAxes};
constexpr float kInputScale = 1.0f / kPixel;
constexpr int kRank = 4;
constexpr int32_t kMostBytes = 1 << 24;  // of a tensor

using Resolver = tflite::MicroMutableOpResolver<kOperators>;

// Kernels of ESP-NN read and write 16 bytes at a time. Static data lies in internal RAM.
alignas(16) uint8_t arena[kArenaBytes];
alignas(tflite::MicroInterpreter) uint8_t place[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter *interpreter = nullptr;

// The resolver with every operator of the contract, or null.
const Resolver *resolver() {
  static Resolver operators;
  static bool ready = false;
  if (!ready) {
#define GYROVAE_REGISTER(method) \
  if (operators.method() != kTfLiteOk) return nullptr;
    GYROVAE_FOR_EACH_OPERATOR(GYROVAE_REGISTER)
#undef GYROVAE_REGISTER
    ready = true;
  }
  return &operators;
}

bool within(const flatbuffers::Vector<int32_t> *indices, int32_t least, int32_t count) {
  if (!indices) return false;
  for (const int32_t index : *indices) {
    if (index < least || index >= count) return false;
  }
  return true;
}

int32_t element_bytes(tflite::TensorType type) {
  switch (type) {
    case tflite::TensorType_INT8:
      return 1;
    case tflite::TensorType_INT16:
      return 2;
    case tflite::TensorType_INT32:
      return 4;
    default:
      return 0;
  }
}

// Whether a tensor has a shape, and as many bytes as that says if it is a constant.
bool fits(const tflite::Tensor &tensor, const tflite::Model &model) {
  if (tensor.buffer() >= model.buffers()->size()) return false;
  int64_t bytes = element_bytes(tensor.type());
  if (tensor.shape()) {
    for (const int32_t length : *tensor.shape()) {
      if (length < 1 || length > kMostBytes) return false;
      bytes *= length;
      if (bytes > kMostBytes) return false;
    }
  }
  const flatbuffers::Vector<uint8_t> *const data = model.buffers()->Get(tensor.buffer())->data();
  return !data || data->size() == 0 || data->size() == bytes;
}

// What the flatbuffer's own verifier does not look at and the interpreter takes for granted.
const char *misbuilt(const tflite::Model &model, const tflite::MicroOpResolver &operators) {
  if (model.version() != TFLITE_SCHEMA_VERSION) return "the model is of another version of TensorFlow Lite";
  if (!model.subgraphs() || model.subgraphs()->size() != 1) return "the model has not one graph";
  if (!model.operator_codes() || !model.buffers()) return "the model is not whole";
  for (const tflite::OperatorCode *code : *model.operator_codes()) {
    if (!operators.FindOp(tflite::GetBuiltinCode(code))) return "the model has an operator that this firmware lacks";
  }
  const tflite::SubGraph &graph = *model.subgraphs()->Get(0);
  if (!graph.tensors() || !graph.operators()) return "the model is not whole";
  const int32_t tensors = static_cast<int32_t>(graph.tensors()->size());
  for (const tflite::Tensor *tensor : *graph.tensors()) {
    if (!fits(*tensor, model)) return "the model's tensors are not usable";
  }
  for (const tflite::Operator *op : *graph.operators()) {
    if (op->opcode_index() >= model.operator_codes()->size()) return "the model's operators are not usable";
    if (!within(op->inputs(), -1, tensors) || !within(op->outputs(), 0, tensors)) {
      return "the model's operators are not usable";
    }
  }
  if (!within(graph.inputs(), 0, tensors) || !within(graph.outputs(), 0, tensors)) {
    return "the model's input and outputs are not usable";
  }
  if (graph.inputs()->size() != 1 || graph.outputs()->size() != 2) return "the model has not one input and two outputs";
  return nullptr;
}

bool is_image(const TfLiteTensor *tensor, const int32_t (&shape)[kRank]) {
  if (!tensor || tensor->type != kTfLiteInt8 || !tensor->data.int8) return false;
  if (!tensor->dims || tensor->dims->size != kRank) return false;
  for (int i = 0; i < kRank; i++) {
    if (tensor->dims->data[i] != shape[i]) return false;
  }
  return tensor->params.scale > 0.0f;
}

const char *run() {
  return interpreter->Invoke() == kTfLiteOk ? nullptr : "the model does not run";
}

void close() {
  if (interpreter) interpreter->~MicroInterpreter();
  interpreter = nullptr;
}

const char *connect(app::Model &model) {
  const TfLiteTensor *const input = interpreter->input(0);
  if (!is_image(input, kInputShape)) return "the model's input is not int8 [2, 32, 32, 3]";
  if (input->params.scale != kInputScale || input->params.zero_point != 0) {
    return "the model's input has another scale than 1/32, or another zero point than 0";
  }
  model.input = input->data.int8;
  for (size_t i = 0; i < 2; i++) {
    const TfLiteTensor *const output = interpreter->output(i);
    if (!is_image(output, kOutputShape)) return "an output of the model is not int8 [1, 32, 32, 3]";
    model.outputs[i] = output->data.int8;
    model.field_scale = output->params.scale;  // of the last one
    model.field_zero_point = output->params.zero_point;
  }
  model.run = run;
  return nullptr;
}

}  // namespace

const char *open(const Detector &detector, app::Model &model) {
  close();
  if (detector.arena_bytes > kArenaBytes) return "the model needs a larger arena (CONFIG_GYROVAE_ARENA_KIB)";
  if (reinterpret_cast<uintptr_t>(detector.model) % 16) return "the model is not aligned to 16 bytes";
  const Resolver *const operators = resolver();
  if (!operators) return "the model's operators cannot be registered";
  flatbuffers::Verifier verifier(detector.model, detector.model_bytes);
  if (!tflite::VerifyModelBuffer(verifier)) return "the model is damaged";
  const tflite::Model &graph = *tflite::GetModel(detector.model);
  if (const char *const problem = misbuilt(graph, *operators)) return problem;
  interpreter = new (place) tflite::MicroInterpreter(&graph, *operators, arena, kArenaBytes);
  const char *problem = nullptr;
  if (interpreter->initialization_status() != kTfLiteOk || interpreter->AllocateTensors() != kTfLiteOk) {
    problem = "the model cannot be set up: an arena too small (CONFIG_GYROVAE_ARENA_KIB), or tensors that do not fit";
  } else {
    problem = connect(model);
  }
  if (problem) close();
  return problem;
}

size_t arena_used_bytes() {
  return interpreter ? interpreter->arena_used_bytes() : 0;
}

}  // namespace gyrovae::tflm
