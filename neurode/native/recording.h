// A step recorded with all that its way back needs, and the weight gradients that come of it.
#ifndef NEURODE_RECORDING_H
#define NEURODE_RECORDING_H

#include "evaluation.h"
#include "outer_product.h"
#include "transposed.h"

namespace NEURODE_VARIANT {

// Blocks of one recorded step: inputs and slopes of every layer at every stage.
template <class T>
class StepRecording {
public:
    StepRecording(const Network<T>& network, int stages) : layers_(network.count()), pointers_(2 * layers_ * stages) {
        int64_t total = 0;
        for (int side = 0; side < 2; ++side)
            for (int i = 0; i < layers_; ++i) total += size(network, side, i) * stages;
        numbers_.resize(total);
        T* place = numbers_.data();
        // A layer's stages follow each other, so that one product sums over them all.
        for (int side = 0; side < 2; ++side)
            for (int i = 0; i < layers_; ++i)
                for (int s = 0; s < stages; ++s) {
                    pointers_[(s * 2 + side) * layers_ + i] = place;
                    place += size(network, side, i);
                }
    }
    Recording<T> stage(int s) const {
        return {pointers_.data() + s * 2 * layers_, pointers_.data() + (s * 2 + 1) * layers_};
    }
    static int64_t size(const Network<T>& network, int side, int i) {
        return whole_features(side == 0 ? network.layer(i).in : network.layer(i).out) * BLOCK;
    }

private:
    const int64_t layers_;
    Array<T*> pointers_;
    Array<T> numbers_;
};

// Weight gradients of `stages` stages from `first` on, all at once: a product whose long sum runs over samples and
// stages. turned: scratch.
template <class T>
void add_weights(const Network<T>& network, const neurode_field& field, const StepRecording<T>& recording, int first,
                 int stages, Array<T>& turned, Sums<T>& sums) {
    for (int i = 0; i < network.count(); ++i) {
        if (field.layers[i].gradient == nullptr) continue;
        const Layer<T>& layer = network.layer(i);
        const Recording<T> begin = recording.stage(first);
        const T *inputs = begin.input[i], *deltas = begin.slope[i];
        const int64_t of_inputs = StepRecording<T>::size(network, 0, i);
        const int64_t of_deltas = StepRecording<T>::size(network, 1, i);
        const T* along = layer.along_out ? deltas : inputs;
        const int64_t of_along = layer.along_out ? of_deltas : of_inputs;
        for (int s = 0; s < stages; ++s)
            transpose<T>(along + s * of_along, layer.along_out ? layer.out : layer.in,
                         turned.data() + s * BLOCK * layer.gradient_stride, layer.gradient_stride);
        add_outer_products<T>(layer.gradient_rows, layer.along_out ? inputs : deltas,
                              layer.along_out ? of_inputs : of_deltas, turned.data(), layer.gradient_stride, stages,
                              sums.weights.data() + layer.gradient_at);
    }
}

// Numbers that `turned` has to hold for it.
template <class T>
int64_t turned_numbers(const Network<T>& network, int stages) {
    int64_t widest = 0;
    for (int i = 0; i < network.count(); ++i)
        widest = network.layer(i).gradient_stride > widest ? network.layer(i).gradient_stride : widest;
    return widest * BLOCK * stages;
}

}  // namespace NEURODE_VARIANT

#endif
